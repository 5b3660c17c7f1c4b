//! A small HTTP client that is one instance: bound to its address, and frank about what it receives.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};

/// A connection to the service.
pub(crate) struct Client {
    /// The connection itself, to write and close at will.
    pub(crate) stream: TcpStream,
    reader: BufReader<TcpStream>,
}

/// What the service answered.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    /// The body, as long as the answer says.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

impl Client {
    /// Connects from `source` to `service`.
    pub(crate) fn connect(source: Ipv4Addr, service: SocketAddr) -> Client {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrV4::new(source, 0)).unwrap();
        rustix::net::connect(&socket, &service).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        Client { reader: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    /// Requests and expects an answer.
    pub(crate) fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.try_request(method, path, headers).expect("an answer")
    }

    /// Requests; `None` if the connection ends without an answer.
    pub(crate) fn try_request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Option<Reply> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 169.254.169.254\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        // A service that has closed already may refuse even this.
        let _ = self.stream.write_all(head.as_bytes());
        self.try_reply(method != "HEAD")
    }

    /// `GET` without a token.
    pub(crate) fn get(&mut self, path: &str) -> Reply {
        self.request("GET", path, &[])
    }

    /// `HEAD` without a token.
    pub(crate) fn head(&mut self, path: &str) -> Reply {
        self.request("HEAD", path, &[])
    }

    /// Sends text as it is.
    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// The next answer.
    pub(crate) fn reply(&mut self, with_body: bool) -> Reply {
        self.try_reply(with_body).expect("an answer")
    }

    /// Fails if anything arrives within `time`.
    pub(crate) fn expect_silence(&mut self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let arrived = self.reader.fill_buf().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        self.stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        let error = arrived.expect_err("something arrived");
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}");
    }

    /// From now on the kernel drops what arrives for this connection with a lower IP TTL (IP_MINTTL, ip(7)), as
    /// if routers had on its way.
    pub(crate) fn drop_ttl_below(&mut self, ttl: libc::c_int) {
        let size = size_of_val(&ttl) as libc::socklen_t;
        let descriptor = self.stream.as_raw_fd();
        // SAFETY: the descriptor is open, and the option's value is one int that outlives the call.
        let result = unsafe {
            libc::setsockopt(descriptor, libc::IPPROTO_IP, libc::IP_MINTTL, (&raw const ttl).cast(), size)
        };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    fn try_reply(&mut self, with_body: bool) -> Option<Reply> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
                None => break,
            }
        }
        let mut reply = Reply { status, headers, body: Vec::new() };
        if with_body {
            let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
            reply.body.resize(length, 0);
            self.reader.read_exact(&mut reply.body).unwrap();
        }
        Some(reply)
    }

    /// A line without its end; `None` if the connection is closed or reset first.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no answer: {error}"),
        }
    }
}
