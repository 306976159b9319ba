//! Plain `http` through a proxy, as caches of packages expect it: the whole address stands in the
//! request line (RFC 9112, section 3.2.2).
//!
//! ureq asks for a tunnel instead (`CONNECT`), which such proxies refuse for port 80; for `https`
//! a tunnel is right. The request is HTTP/1.0: the answer then ends with the connection, and has
//! no chunks.

use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use cairn_store_path::base64::to_base64;
use ureq::http::Uri;

use crate::transport::TransportError;

/// The longest head of an answer that is read, in bytes.
const HEAD_LIMIT: u64 = 64 << 10;

/// A proxy's answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_range: String,
    pub(crate) location: String,
    pub(crate) reader: Box<dyn Read>,
}

/// Asks the proxy at `proxy` (`http://host:port`) for the bytes of `uri` from `offset` on.
pub(crate) fn get(
    proxy: &str,
    uri: &Uri,
    offset: u64,
    timeout: Duration,
) -> Result<Answer, TransportError> {
    let broken = |error| TransportError::Connection(ureq::Error::Io(error));
    let wrong = || TransportError::Proxy(proxy.to_owned());
    let address: Uri = proxy.parse().map_err(|_| wrong())?;
    let authority = address.authority().ok_or_else(wrong)?;
    let stream = connect(
        authority.host(),
        authority.port_u16().unwrap_or(80),
        timeout,
    );
    let mut stream = stream.map_err(broken)?;
    let host = uri.authority().map(ToString::to_string).unwrap_or_default();
    let mut request = format!(
        "GET {uri} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: cairn/{}\r\nAccept-Encoding: identity\r\n",
        env!("CARGO_PKG_VERSION")
    );
    if offset > 0 {
        request.extend(["Range: bytes=", &offset.to_string(), "-\r\n"]);
    }
    if let Some((user, _)) = authority.as_str().rsplit_once('@') {
        request.extend([
            "Proxy-Authorization: Basic ",
            &to_base64(user.as_bytes()),
            "\r\n",
        ]);
    }
    request += "\r\n";
    stream.write_all(request.as_bytes()).map_err(broken)?;
    read_answer(stream).map_err(broken)
}

fn connect(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut last = io::Error::new(
        io::ErrorKind::NotFound,
        format!("proxy {host} has no address"),
    );
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn read_answer(stream: impl Read + 'static) -> io::Result<Answer> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "the proxy's answer is not HTTP");
    let mut reader = BufReader::new(stream);
    let mut head = reader.by_ref().take(HEAD_LIMIT);
    let mut line = || -> io::Result<String> {
        let mut bytes = Vec::new();
        head.read_until(b'\n', &mut bytes)?;
        if bytes.ends_with(b"\n") {
            Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
        } else {
            Err(invalid())
        }
    };
    let first = line()?;
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(invalid)?;
    let (mut content_range, mut location, mut length) = (String::new(), String::new(), None);
    loop {
        let line = line()?;
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-range" => value.clone_into(&mut content_range),
            "location" => value.clone_into(&mut location),
            "content-length" => length = Some(value.parse().map_err(|_| invalid())?),
            // An HTTP/1.0 client must not get chunks.
            "transfer-encoding" => return Err(invalid()),
            _ => {}
        }
    }
    Ok(Answer {
        status,
        content_range,
        location,
        reader: Box::new(Measured {
            reader,
            left: length,
        }),
    })
}

/// A body that must not end before its announced length.
struct Measured<R> {
    reader: R,
    left: Option<u64>,
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(left) = &mut self.left else {
            return self.reader.read(buffer);
        };
        let room = usize::try_from(*left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = self
            .reader
            .read(buffer.get_mut(..room).unwrap_or_default())?;
        if count == 0 && room > 0 {
            let text = "the connection was closed early";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        *left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers() {
        let text =
            "HTTP/1.1 206 Partial\r\nContent-Range: bytes 5-8/9\r\nContent-Length: 4\r\n\r\nabcd";
        let mut answer = read_answer(text.as_bytes()).unwrap();
        let mut body = String::new();
        answer.reader.read_to_string(&mut body).unwrap();
        assert_eq!(
            (answer.status, answer.content_range.as_str(), body.as_str()),
            (206, "bytes 5-8/9", "abcd")
        );
        let short = "HTTP/1.0 200 OK\nContent-Length: 5\n\nabcd";
        assert!(
            read_answer(short.as_bytes())
                .unwrap()
                .reader
                .read_to_end(&mut vec![])
                .is_err()
        );
        for text in [
            "",
            "HTTP/1.1",
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(read_answer(text.as_bytes()).is_err());
        }
    }

    proptest! {
        #[test]
        fn hostile_answers_never_panic(text in "(HTTP/1.1 200 OK\r\n)?(?s)[a-z:0-9 \r\n-]{0,60}") {
            let bytes = std::io::Cursor::new(text.into_bytes());
            if let Ok(mut answer) = read_answer(bytes) {
                drop(answer.reader.read_to_end(&mut Vec::new()));
            }
        }
    }
}
