//! Domain separation between signed structures.

/// Names one kind of signed structure, version included. A signature made in one domain verifies in no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Domain(&'static str);

impl Domain {
    /// A domain with this name. Meant for constants, where a wrong name fails the build:
    ///
    /// ```compile_fail
    /// const BAD: identity::Domain = identity::Domain::new("two\0parts");
    /// ```
    ///
    /// # Panics
    /// When the name is empty or holds a NUL byte: NUL ends the domain in the signed message.
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty(), "a domain needs a name");
        let mut at = 0;
        while at < bytes.len() {
            assert!(bytes[at] != 0, "a domain must not hold a NUL byte");
            at += 1;
        }
        Self(name)
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// `D ‖ 0x00 ‖ P`, with room for `spare` more bytes.
    pub(crate) fn message(self, payload: &[u8], spare: usize) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.0.len() + 1 + payload.len() + spare);
        message.extend_from_slice(self.0.as_bytes());
        message.push(0);
        message.extend_from_slice(payload);
        message
    }
}
