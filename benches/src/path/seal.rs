//! The inner seal of a frame's chunks and its opening, beside RustCrypto's AES-256-GCM on the same bytes.

use std::hint::black_box;
use std::time::Duration;

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use anyhow::{Result, anyhow};
use av_wire::{HEADER_LEN, Keyring, Sealer, StreamKeys, TAG_LEN};
use benches::{Clock, Content, EPOCH, Pair, Row, SECRET, SENDER, STREAM};
use core_types::{CodecId, Layer, MonoTime};

const PASSES: usize = 201;
const BASELINE: &str = "aes-gcm, same bytes";

/// One sample is one pass over the clip.
pub(crate) fn seal(contents: &[Content]) -> Result<Row> {
    let cipher = Aes256Gcm::new(&SECRET.into());
    let plain = plain(contents)?;
    let baseline = || {
        let (time, outcome) = Clock::Thread.time(|| {
            for (number, (header, content)) in plain.iter().enumerate() {
                black_box(seal_directly(&cipher, number, header, content)?);
            }
            Ok::<(), aes_gcm::Error>(())
        });
        outcome.map_err(|_| anyhow!("seal: aes-gcm failed"))?;
        Ok(time)
    };
    Pair::interleave(PASSES, contents.len(), || seal_ours(contents), baseline)?.row("seal", BASELINE)
}

fn seal_ours(contents: &[Content]) -> Result<Duration> {
    let keys = StreamKeys::derive(&SECRET, STREAM, SENDER)?;
    let mut sealer: Sealer = Sealer::new(keys, STREAM, EPOCH, CodecId::Av1);
    let (time, outcome) = Clock::Thread.time(|| {
        for inner in contents.iter().flat_map(Content::inner) {
            black_box(sealer.seal(Layer::BASE, &inner)?);
        }
        Ok::<(), av_wire::Error>(())
    });
    outcome?;
    Ok(time)
}

/// One sample is one pass over the clip. Both copy a chunk into a buffer that they keep, since opening is done in place.
pub(crate) fn open(contents: &[Content]) -> Result<Row> {
    let cipher = Aes256Gcm::new(&SECRET.into());
    let sealed = plain(contents)?
        .iter()
        .enumerate()
        .map(|(number, (header, content))| seal_directly(&cipher, number, header, content))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| anyhow!("open: aes-gcm failed"))?;
    let mut buffer = Vec::new();
    let baseline = || {
        let (time, outcome) = Clock::Thread.time(|| {
            for (number, chunk) in sealed.iter().enumerate() {
                buffer.clear();
                buffer.extend_from_slice(chunk);
                black_box(open_directly(&cipher, number, &mut buffer)?);
            }
            Ok::<(), aes_gcm::Error>(())
        });
        outcome.map_err(|_| anyhow!("open: aes-gcm did not open what it sealed"))?;
        Ok(time)
    };
    Pair::interleave(PASSES, contents.len(), || open_ours(contents), baseline)?.row("open", BASELINE)
}

fn open_ours(contents: &[Content]) -> Result<Duration> {
    let mut keyring: Keyring = Keyring::new(STREAM);
    keyring.install(MonoTime(0), EPOCH, &SECRET, SENDER)?;
    let mut buffer = Vec::new();
    let (time, outcome) = Clock::Thread.time(|| {
        for chunk in contents.iter().flat_map(|content| &content.chunks) {
            buffer.clear();
            buffer.extend_from_slice(chunk);
            black_box(keyring.open(MonoTime(1), &mut buffer)?);
        }
        Ok::<(), av_wire::Error>(())
    });
    outcome?;
    Ok(time)
}

/// Header and content of every chunk, not sealed.
fn plain(contents: &[Content]) -> Result<Vec<([u8; HEADER_LEN], Vec<u8>)>> {
    let mut plain = Vec::new();
    for content in contents {
        for (inner, chunk) in content.inner().zip(&content.chunks) {
            let mut header = [0; HEADER_LEN];
            header.copy_from_slice(&chunk[..HEADER_LEN]);
            let mut bytes = Vec::with_capacity(inner.encoded_len());
            inner.write(&mut bytes)?;
            plain.push((header, bytes));
        }
    }
    Ok(plain)
}

fn nonce(number: usize) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&(number as u64).to_be_bytes());
    nonce
}

fn seal_directly(
    cipher: &Aes256Gcm,
    number: usize,
    header: &[u8],
    content: &[u8],
) -> Result<Vec<u8>, aes_gcm::Error> {
    let mut chunk = Vec::with_capacity(header.len() + content.len() + TAG_LEN);
    chunk.extend_from_slice(header);
    chunk.extend_from_slice(content);
    let tag =
        cipher.encrypt_inout_detached(&nonce(number).into(), header, (&mut chunk[HEADER_LEN..]).into())?;
    chunk.extend_from_slice(&tag);
    Ok(chunk)
}

fn open_directly<'a>(
    cipher: &Aes256Gcm,
    number: usize,
    chunk: &'a mut [u8],
) -> Result<&'a [u8], aes_gcm::Error> {
    let (header, rest) = chunk.split_first_chunk_mut::<HEADER_LEN>().ok_or(aes_gcm::Error)?;
    let (content, tag) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(aes_gcm::Error)?;
    cipher.decrypt_inout_detached(&nonce(number).into(), &*header, (&mut *content).into(), (&*tag).into())?;
    Ok(content)
}
