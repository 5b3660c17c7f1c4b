//! A request and an answer, without the socket.

/// An HTTP request, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Such as "POST".
    pub method: String,
    /// The target's path.
    pub path: String,
    /// What follows the `?` of the target, as it was sent.
    pub query: String,
    /// Names and values. The case of names does not count.
    pub headers: Vec<(String, String)>,
    /// What follows the headers.
    pub body: Vec<u8>,
}

/// The answer to a request, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// Such as 200.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// What follows the headers.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// The value of the first header of this name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of all headers of this name, in their order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.headers.iter().filter(move |(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }
}

impl HttpResponse {
    /// An answer with an XML document.
    pub(crate) fn xml(status: u16, document: String) -> Self {
        let headers = vec![("content-type".to_owned(), "text/xml;charset=UTF-8".to_owned())];
        HttpResponse { status, headers, body: document.into_bytes() }
    }

    /// An answer that is its status.
    pub(super) fn empty(status: u16) -> Self {
        HttpResponse { status, headers: Vec::new(), body: Vec::new() }
    }
}
