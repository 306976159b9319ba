//! A web server on the loopback interface that misbehaves on demand.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

/// What the server has and does; tests change it while it runs.
#[derive(Default)]
pub struct State {
    pub files: HashMap<String, Vec<u8>>,
    /// For each path: the bytes of the body after which the next answers break off.
    pub cuts: HashMap<String, Vec<usize>>,
    /// For each path: the status of the next answers.
    pub statuses: HashMap<String, Vec<u16>>,
    /// Whether ranges are ignored, as simple servers do.
    pub no_ranges: bool,
    /// The requests so far: path, or path and range.
    pub requests: Vec<String>,
}

/// A running server; its thread ends with the process.
pub struct Server {
    pub uri: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}/debian", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                // A client that goes away in the middle is no failure of the server.
                std::thread::spawn(move || drop(answer(&stream.unwrap(), &shared)));
            }
        });
        Self { uri, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.state()
            .files
            .insert(format!("/debian/{path}"), bytes.into());
    }

    /// The requests since the last call, sorted, without the common folder.
    pub fn requests(&self) -> Vec<String> {
        let mut requests = std::mem::take(&mut self.state().requests);
        requests.sort();
        let short = |request: &String| request.trim_start_matches("/debian/").to_owned();
        requests.iter().map(short).collect()
    }
}

fn answer(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let target = first.split(' ').nth(1).unwrap_or_default();
    // As a proxy, it is asked for whole addresses; it plays the mirror of that name.
    let path = target
        .strip_prefix("http://mirror.example")
        .unwrap_or(target)
        .to_owned();
    let mut offset = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        let range = line
            .strip_prefix("range: bytes=")
            .and_then(|range| range.strip_suffix('-'));
        offset = range
            .map(|offset| offset.parse::<usize>().unwrap())
            .or(offset);
    }
    let (head, body) = {
        let mut state = state.lock().unwrap();
        let shown = offset.map_or(target.to_owned(), |offset| {
            format!("{target} from {offset}")
        });
        state.requests.push(shown);
        let forced = state.statuses.get_mut(&path).and_then(Vec::pop);
        let cut = state.cuts.get_mut(&path).and_then(Vec::pop);
        let offset = offset.filter(|_| !state.no_ranges);
        let (head, mut body) = match (forced, state.files.get(&path), offset) {
            (Some(status), _, _) => (
                format!("HTTP/1.1 {status} Forced\r\nContent-Length: 0"),
                vec![],
            ),
            (None, None, _) => (
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0".to_owned(),
                vec![],
            ),
            (None, Some(file), None) => (
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}", file.len()),
                file.clone(),
            ),
            (None, Some(file), Some(offset)) if offset >= file.len() => {
                ("HTTP/1.1 416 Range\r\nContent-Length: 0".to_owned(), vec![])
            }
            (None, Some(file), Some(offset)) => {
                let (end, all) = (file.len() - 1, file.len());
                let head = format!(
                    "HTTP/1.1 206 Partial\r\nContent-Range: bytes {offset}-{end}/{all}\r\n\
                     Content-Length: {}",
                    all - offset
                );
                (head, file[offset..].to_vec())
            }
        };
        body.truncate(cut.unwrap_or(body.len()));
        (head, body)
    };
    let mut stream = stream;
    stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes())?;
    stream.write_all(&body)
}
