//! A web server of the tests: takes posts, answers with a status that the test chooses.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::support::PATIENCE;

/// One post.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Posted {
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(one, _)| one == name);
        found
            .next()
            .map(|(_, value)| value.as_str())
            .unwrap_or_else(|| panic!("{name}: {self:?}"))
    }
}

/// The server; it ends with the test.
#[derive(Clone)]
pub(crate) struct WebReceiver {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    posts: Arc<(Mutex<Vec<Posted>>, Condvar)>,
}

impl WebReceiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = Self {
            address: listener.local_addr().expect("an address"),
            status: Arc::new(AtomicU16::new(204)),
            posts: Arc::default(),
        };
        let own = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                own.take(stream);
            }
        });
        server
    }

    /// Its address.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers with this from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn take(&self, stream: TcpStream) {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() {
            return;
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) < 3 {
                break;
            }
            if let Some((name, value)) = line.trim_end().split_once(": ") {
                headers.push((name.to_ascii_lowercase(), value.to_owned()));
            }
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let status = self.status.load(Ordering::SeqCst);
        let answer =
            format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let body = String::from_utf8_lossy(&body).into_owned();
        let (posts, changed) = &*self.posts;
        posts.lock().expect("no panic").push(Posted {
            path,
            headers,
            body,
        });
        changed.notify_all();
        // Who has gone away needs no answer.
        let _ = reader.get_mut().write_all(answer.as_bytes());
    }

    /// The first post, from the beginning, that fits; waits for it.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, fits: impl Fn(&Posted) -> bool) -> Posted {
        let (posts, changed) = &*self.posts;
        let missing = |posts: &mut Vec<Posted>| !posts.iter().any(&fits);
        let posts = posts.lock().expect("no panic");
        let (posts, _) = changed
            .wait_timeout_while(posts, PATIENCE, missing)
            .expect("no panic");
        let found = posts.iter().find(|post| fits(post)).cloned();
        found.unwrap_or_else(|| panic!("{what} did not come; there was: {posts:#?}"))
    }

    /// So many posts.
    #[track_caller]
    pub(crate) fn wait_for_count(&self, count: usize) -> Vec<Posted> {
        let (posts, changed) = &*self.posts;
        let posts = posts.lock().expect("no panic");
        let (posts, _) = changed
            .wait_timeout_while(posts, PATIENCE, |posts| posts.len() < count)
            .expect("no panic");
        assert!(posts.len() >= count, "{posts:#?}");
        posts.clone()
    }
}
