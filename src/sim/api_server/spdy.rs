//! SPDY/3.1 frames and their compressed headers: bytes to frames and back.
//!
//! Only what port-forwarding needs of the protocol. What the frames mean is in `spdy_session`.

use std::io;
use std::sync::LazyLock;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Frames beyond this are not what a port-forward client sends.
const FRAME_LIMIT: usize = 1024 * 1024;
/// What one header block may unfold to.
const HEADER_LIMIT: usize = 64 * 1024;

const FLAG_FIN: u8 = 1;

/// A frame from a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Data {
        stream: u32,
        fin: bool,
        bytes: Vec<u8>,
    },
    SynStream {
        stream: u32,
        fin: bool,
        block: Vec<u8>,
    },
    Reset {
        stream: u32,
    },
    Ping {
        id: u32,
    },
    GoAway,
    /// SYN_REPLY, HEADERS, SETTINGS, WINDOW_UPDATE: nothing to do for a server which opens no stream. A header block is
    /// kept, since the compression state has to see every one.
    Other {
        block: Option<Vec<u8>>,
    },
}

/// Reads one frame; an error of kind `UnexpectedEof` is the end of the connection.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
    let mut head = [0; 8];
    from.read_exact(&mut head).await?;
    let [a, b, c, d, flags, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes([0, length[0], length[1], length[2]])).unwrap_or(usize::MAX);
    if length > FRAME_LIMIT {
        return Err(invalid("a SPDY frame of more than 1 MiB"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    let fin = flags & FLAG_FIN != 0;
    if a & 0x80 == 0 {
        return Ok(Frame::Data { stream: u32::from_be_bytes([a, b, c, d]), fin, bytes });
    }
    let number = || -> io::Result<u32> {
        let first = bytes.first_chunk::<4>().ok_or_else(|| invalid("a SPDY control frame that is too short"))?;
        Ok(u32::from_be_bytes(*first) & 0x7fff_ffff)
    };
    Ok(match u16::from_be_bytes([c, d]) {
        1 => Frame::SynStream { stream: number()?, fin, block: bytes.get(10..).unwrap_or_default().to_vec() },
        2 | 8 => Frame::Other { block: Some(bytes.get(4..).unwrap_or_default().to_vec()) },
        3 => Frame::Reset { stream: number()? },
        6 => Frame::Ping { id: u32::from_be_bytes(*bytes.first_chunk().ok_or_else(|| invalid("an empty SPDY ping"))?) },
        7 => Frame::GoAway,
        _ => Frame::Other { block: None },
    })
}

fn invalid(words: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

/// A data frame; `fin` closes our half of the stream.
pub(super) fn data(stream: u32, bytes: &[u8], fin: bool) -> Vec<u8> {
    let mut frame = (stream & 0x7fff_ffff).to_be_bytes().to_vec();
    frame.extend(flags_and_length(if fin { FLAG_FIN } else { 0 }, bytes.len()));
    frame.extend_from_slice(bytes);
    frame
}

/// Accepts a stream; `block` are our (compressed) headers.
pub(super) fn syn_reply(stream: u32, block: &[u8]) -> Vec<u8> {
    let mut body = stream.to_be_bytes().to_vec();
    body.extend_from_slice(block);
    control(2, &body)
}

/// Refuses a stream.
pub(super) fn reset(stream: u32) -> Vec<u8> {
    const REFUSED_STREAM: u32 = 3;
    control(3, &[stream.to_be_bytes(), REFUSED_STREAM.to_be_bytes()].concat())
}

pub(super) fn ping(id: u32) -> Vec<u8> {
    control(6, &id.to_be_bytes())
}

/// Tells the client that `count` bytes of a stream were taken.
pub(super) fn window_update(stream: u32, count: usize) -> Vec<u8> {
    let count = u32::try_from(count).unwrap_or(0x7fff_ffff);
    control(9, &[stream.to_be_bytes(), count.to_be_bytes()].concat())
}

fn control(kind: u16, body: &[u8]) -> Vec<u8> {
    let [high, low] = kind.to_be_bytes();
    let mut frame = vec![0x80, 3, high, low];
    frame.extend(flags_and_length(0, body.len()));
    frame.extend_from_slice(body);
    frame
}

fn flags_and_length(flags: u8, length: usize) -> [u8; 4] {
    // Every caller stays far below the 24 bits there are.
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [flags, length[1], length[2], length[3]]
}

/// Header blocks of one connection: one compression context for each direction.
pub(super) struct Headers {
    unfold: Decompress,
    fold: Compress,
}

impl Headers {
    pub(super) fn new() -> io::Result<Self> {
        let mut fold = Compress::new(Compression::default(), true);
        fold.set_dictionary(&DICTIONARY).map_err(io::Error::other)?;
        Ok(Headers { unfold: Decompress::new(true), fold })
    }

    /// Names (lower case) and values of a compressed block.
    pub(super) fn decode(&mut self, block: &[u8]) -> io::Result<Vec<(String, String)>> {
        let plain = self.unfold(block)?;
        let mut rest = plain.as_slice();
        let count = take_number(&mut rest)?;
        let mut headers = Vec::new();
        for _ in 0..count {
            let name = take_text(&mut rest)?;
            headers.push((name, take_text(&mut rest)?));
        }
        Ok(headers)
    }

    /// A compressed block without any header.
    pub(super) fn encode_none(&mut self) -> io::Result<Vec<u8>> {
        self.encode(&[])
    }

    fn encode(&mut self, headers: &[(&str, &str)]) -> io::Result<Vec<u8>> {
        let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut plain = u32::try_from(headers.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
        for text in headers.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]) {
            plain.extend(length(text));
            plain.extend_from_slice(text);
        }
        let mut block = Vec::with_capacity(plain.len() + 128);
        self.fold.compress_vec(&plain, &mut block, FlushCompress::Sync).map_err(io::Error::other)?;
        Ok(block)
    }

    fn unfold(&mut self, block: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        let mut at = 0;
        loop {
            let mut buffer = [0; 4096];
            let (read, written) = (self.unfold.total_in(), self.unfold.total_out());
            let outcome = self.unfold.decompress(&block[at..], &mut buffer, FlushDecompress::Sync);
            let used = usize::try_from(self.unfold.total_in() - read).unwrap_or(usize::MAX);
            let made = usize::try_from(self.unfold.total_out() - written).unwrap_or(usize::MAX);
            at += used;
            plain.extend_from_slice(&buffer[..made]);
            if plain.len() > HEADER_LIMIT {
                return Err(invalid("a SPDY header block of more than 64 KiB"));
            }
            match outcome {
                Ok(Status::StreamEnd) => return Ok(plain),
                Ok(_) if made == 0 && (used == 0 || at >= block.len()) => return Ok(plain),
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.unfold.set_dictionary(&DICTIONARY).map_err(io::Error::other)?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

fn take_number(rest: &mut &[u8]) -> io::Result<usize> {
    let (first, after) = rest.split_first_chunk::<4>().ok_or_else(|| invalid("a SPDY header block that ends early"))?;
    *rest = after;
    Ok(usize::try_from(u32::from_be_bytes(*first)).unwrap_or(usize::MAX))
}

fn take_text(rest: &mut &[u8]) -> io::Result<String> {
    let length = take_number(rest)?;
    let (text, after) = rest.split_at_checked(length).ok_or_else(|| invalid("a SPDY header block that ends early"))?;
    *rest = after;
    Ok(String::from_utf8_lossy(text).to_ascii_lowercase())
}

/// The protocol's shared dictionary: header names with their lengths before them, then a run of usual values.
static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let names = "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges \
                 age allow authorization cache-control connection content-base content-encoding content-language \
                 content-length content-location content-md5 content-range content-type date etag expect expires from \
                 host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location \
                 max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer \
                 transfer-encoding upgrade user-agent vary via warning www-authenticate method get status 200_OK version \
                 HTTP/1.1 url public set-cookie keep-alive origin";
    let mut dictionary = Vec::new();
    for name in names.split_whitespace() {
        let length = u32::try_from(name.len()).unwrap_or(0);
        dictionary.extend(length.to_be_bytes());
        dictionary.extend(name.replace('_', " ").bytes());
    }
    dictionary.extend_from_slice(
        b"100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative \
          Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 \
          Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec \
          00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,\
          application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8\
          charset=iso-8859-1,utf-,*,enq=0.",
    );
    dictionary
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_the_protocols() {
        // Its checksum stands in the first bytes that every SPDY/3 client compresses.
        let (mut low, mut high) = (1_u32, 0_u32);
        for byte in DICTIONARY.iter() {
            low = (low + u32::from(*byte)) % 65_521;
            high = (high + low) % 65_521;
        }
        assert_eq!((DICTIONARY.len(), high << 16 | low), (1423, 0xe3c6_a7c2));
    }

    #[test]
    fn header_blocks_share_their_state() {
        let (mut client, mut server) = (Headers::new().expect("zlib"), Headers::new().expect("zlib"));
        for request in ["0", "1", "2"] {
            let block =
                client.encode(&[("streamtype", "error"), ("port", "2379"), ("requestid", request)]).expect("zlib");
            let headers = server.decode(&block).expect("the same dictionary");
            assert_eq!(headers[2], ("requestid".to_owned(), request.to_owned()));
        }
        assert_eq!(client.decode(&server.encode_none().expect("zlib")).expect("an empty block"), []);
    }

    #[tokio::test]
    async fn frames_round_trip() {
        let mut wire = data(3, b"abc", true);
        wire.extend(ping(7));
        let mut wire = wire.as_slice();
        let read_one = read(&mut wire).await.expect("a whole frame");
        assert_eq!(read_one, Frame::Data { stream: 3, fin: true, bytes: b"abc".to_vec() });
        assert_eq!(read(&mut wire).await.expect("a whole frame"), Frame::Ping { id: 7 });
        assert!(read(&mut wire).await.is_err());
    }
}
