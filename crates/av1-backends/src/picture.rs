//! A decoded picture that the decoder still owns.

use core::{fmt, marker::PhantomData, ptr::NonNull, slice};

use re_rav1d::include::dav1d::headers::{
    DAV1D_PIXEL_LAYOUT_I400, DAV1D_PIXEL_LAYOUT_I420, DAV1D_PIXEL_LAYOUT_I422,
};
use re_rav1d::include::dav1d::picture::Dav1dPicture;
use re_rav1d::src::lib::dav1d_picture_unref;

use crate::Decoder;

/// How chroma is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Luma only.
    I400,
    /// Chroma at half the width and half the height.
    I420,
    /// Chroma at half the width.
    I422,
    /// Chroma at full size.
    I444,
}

/// One of a picture's planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Luma.
    Y,
    /// The first chroma plane (Cb).
    U,
    /// The second chroma plane (Cr).
    V,
}

/// What rav1d fills in when asked for a picture, released exactly once.
pub(crate) struct RawPicture(Dav1dPicture);

impl RawPicture {
    pub(crate) fn empty() -> Self {
        Self(Dav1dPicture::default())
    }

    pub(crate) fn as_ptr(&mut self) -> NonNull<Dav1dPicture> {
        NonNull::from(&mut self.0)
    }
}

impl Drop for RawPicture {
    fn drop(&mut self) {
        // SAFETY: the pointer is to a `Dav1dPicture` that we own, and its references are either unset or those that
        // rav1d put there.
        unsafe { dav1d_picture_unref(Some(self.as_ptr())) };
        // Releasing a picture leaves an empty one behind, and rav1d's empty picture owns a (shared, empty) metadata list.
        if let Some(metadata) = self.0.itut_t35_ref.take() {
            // SAFETY: rav1d made this reference from an `Arc` in the call above, and `take` has made us the only holder.
            drop(unsafe { metadata.into_arc() });
        }
    }
}

/// A decoded picture of 8- or 10-bit samples. It borrows the decoder, so it is gone before the next temporal unit is fed.
pub struct Picture<'a> {
    raw: RawPicture,
    width: usize,
    height: usize,
    layout: Layout,
    depth: u8,
    decoder: PhantomData<&'a mut Decoder>,
}

impl Picture<'_> {
    /// `None` when the decoder's description makes no sense: no pixels, no luma or another depth than 8 or 10 bits.
    pub(crate) fn new(raw: RawPicture) -> Option<Self> {
        let parameters = &raw.0.p;
        let width = usize::try_from(parameters.w).ok().filter(|w| *w > 0)?;
        let height = usize::try_from(parameters.h).ok().filter(|h| *h > 0)?;
        let layout = match parameters.layout {
            DAV1D_PIXEL_LAYOUT_I400 => Layout::I400,
            DAV1D_PIXEL_LAYOUT_I420 => Layout::I420,
            DAV1D_PIXEL_LAYOUT_I422 => Layout::I422,
            _ => Layout::I444,
        };
        let depth = u8::try_from(parameters.bpc).ok().filter(|depth| matches!(depth, 8 | 10))?;
        let _luma = raw.0.data[0]?;
        Some(Self { raw, width, height, layout, depth, decoder: PhantomData })
    }

    /// Width of the luma plane in pixels.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Height of the luma plane in pixels.
    pub const fn height(&self) -> usize {
        self.height
    }

    /// How chroma is sampled.
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Bits a sample: 8 or 10.
    pub const fn depth(&self) -> u8 {
        self.depth
    }

    /// The number that came with the temporal unit of this picture.
    pub const fn pts(&self) -> i64 {
        self.raw.0.m.timestamp
    }

    /// Width and height of a plane in samples; zero for chroma of a luma-only picture.
    pub const fn plane_size(&self, plane: Plane) -> (usize, usize) {
        let (half_width, half_height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        match (plane, self.layout) {
            (Plane::Y, _) | (_, Layout::I444) => (self.width, self.height),
            (_, Layout::I400) => (0, 0),
            (_, Layout::I420) => (half_width, half_height),
            (_, Layout::I422) => (half_width, self.height),
        }
    }

    /// The rows of a plane from the top, each as wide as [`Picture::plane_size`] says; none for missing chroma. Of a picture of 8-bit
    /// samples; of others none.
    pub fn rows(&self, plane: Plane) -> impl Iterator<Item = &[u8]> {
        let (width, _) = self.plane_size(plane);
        self.row_starts(plane, 8).map(move |row| {
            // SAFETY: `stride` is at least `width` 8-bit samples; the allocator hands out initialised memory; and
            // nothing writes to it while `self` lives, as rav1d only runs inside calls that need the `Decoder`
            // which `self` borrows mutably, and has no threads of its own (`n_threads` is 1).
            unsafe { slice::from_raw_parts(row, width) }
        })
    }

    /// As [`Picture::rows`], of a picture of 10-bit samples, which are 0 to 1,023.
    pub fn deep_rows(&self, plane: Plane) -> impl Iterator<Item = &[u16]> {
        let (width, _) = self.plane_size(plane);
        self.row_starts(plane, 10).map(move |row| {
            // SAFETY: as in `rows`, but that `stride` is in bytes and at least `width` 16-bit samples here; rows are aligned to 64 bytes
            // (`DAV1D_PICTURE_ALIGNMENT`), so to two.
            unsafe { slice::from_raw_parts(row.cast::<u16>(), width) }
        })
    }

    /// Where each row of a plane starts, if samples have that depth.
    fn row_starts(&self, plane: Plane, depth: u8) -> impl Iterator<Item = *const u8> {
        let (_, height) = self.plane_size(plane);
        let (index, stride) = match plane {
            Plane::Y => (0, self.raw.0.stride[0]),
            Plane::U => (1, self.raw.0.stride[1]),
            Plane::V => (2, self.raw.0.stride[1]),
        };
        let data = self.raw.0.data[index].filter(|_| self.depth == depth);
        data.into_iter().flat_map(move |data| {
            (0..height as isize).map(move |y| {
                // SAFETY: rav1d's own allocator, the only one used here, gives every plane `stride` bytes for each of at
                // least `height` rows, so the start of row `y < height` is inside the plane.
                unsafe { data.as_ptr().cast::<u8>().cast_const().offset(y * stride) }
            })
        })
    }
}

impl fmt::Debug for Picture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture")
            .field("width", &self.width)
            .field("height", &self.height)
            .field("layout", &self.layout)
            .field("depth", &self.depth)
            .field("pts", &self.pts())
            .finish_non_exhaustive()
    }
}
