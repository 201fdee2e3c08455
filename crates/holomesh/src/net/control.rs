//! Control messages on a link's reliable stream (`control-wire` has their bytes).

use control_wire::{PREAMBLE_LEN, frame_len, preamble, version_of};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub use control_wire::{Control, DirectPort, FRAME_LIMIT, PROTOCOL_VERSION, PeerAddress};

/// What is allocated at a time for a frame that is still coming: a length alone costs its sender's victim nothing.
const FRAME_STEP: usize = 64 << 10;

/// Says which version we speak.
pub(super) async fn send_preamble(stream: &mut (impl AsyncWrite + Unpin)) -> Result<(), String> {
    stream.write_all(&preamble()).await.map_err(|e| e.to_string())
}

/// Hears which version the peer speaks.
pub(super) async fn read_preamble(stream: &mut (impl AsyncRead + Unpin)) -> Result<u16, String> {
    let mut preamble = [0; PREAMBLE_LEN];
    stream.read_exact(&mut preamble).await.map_err(|e| e.to_string())?;
    version_of(preamble).map_err(|e| e.to_string())
}

/// Reads one frame of at most `limit` bytes; memory grows only with what has come.
pub(super) async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<Vec<u8>, String> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).await.map_err(|e| e.to_string())?;
    let len = frame_len(prefix, limit).map_err(|e| e.to_string())?;
    let mut frame = Vec::new();
    while frame.len() < len {
        let start = frame.len();
        frame.resize(len.min(start + FRAME_STEP), 0);
        stream.read_exact(&mut frame[start..]).await.map_err(|e| e.to_string())?;
    }
    Ok(frame)
}
