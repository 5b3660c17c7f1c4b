//! Somebody else who is asked what we do not know. Answers are passed on as they were put (RFC 5625): what a record
//! means is a matter between who asks and who answers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, Query};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tracing::debug;

use super::message::{HEADER, QR, Request, Transport};

/// How long an answer is waited for before the question is asked again, and, over TCP, at all.
const PATIENCE: Duration = Duration::from_secs(2);
const TCP_PATIENCE: Duration = Duration::from_secs(4);
/// What follows the name in a question: type and class.
const TYPE_AND_CLASS: usize = 4;

/// A question as it is sent.
struct Sent {
    bytes: Vec<u8>,
    /// Where the question ends.
    end: usize,
    /// The question as its asker put it, as long as the one that is sent.
    original: Vec<u8>,
    /// Whether the answer must have the case of the letters right, which was drawn: more for a stranger to guess.
    exact: bool,
}

/// The answer to a question of `request`'s asker, with the question as it was asked and any id; none if none comes.
pub(super) async fn ask(server: SocketAddr, request: &Request, question: &Query) -> Option<Vec<u8>> {
    let answer = match request.over() {
        Transport::Udp => over_udp(server, request, question).await,
        Transport::Tcp => timeout(TCP_PATIENCE, over_tcp(server, request, question))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
    };
    answer.inspect_err(|error| debug!(%server, %error, "no answer to a forwarded question")).ok()
}

async fn over_udp(server: SocketAddr, request: &Request, question: &Query) -> io::Result<Vec<u8>> {
    let mut failure = io::ErrorKind::TimedOut.into();
    // Some servers answer in letters of their own choice.
    for exact in [true, false] {
        match timeout(PATIENCE, once_over_udp(server, &Sent::new(request, question, exact)?)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => failure = error,
            Err(_) => {}
        }
    }
    Err(failure)
}

/// From a port that the kernel draws for this question alone (RFC 5452 section 9.2).
async fn once_over_udp(server: SocketAddr, sent: &Sent) -> io::Result<Vec<u8>> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&sent.bytes).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = sent.answered_by(&buffer[..length]) {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, request: &Request, question: &Query) -> io::Result<Vec<u8>> {
    let sent = Sent::new(request, question, false)?;
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(sent.bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], &sent.bytes].concat()).await?;
    let mut buffer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut buffer).await?;
    sent.answered_by(&buffer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

impl Sent {
    fn new(request: &Request, question: &Query, exact: bool) -> io::Result<Sent> {
        let mut message = request.forwarded(question);
        let original = encoded_question(&message)?;
        if exact {
            message.queries.iter_mut().for_each(|query| query.name.randomize_label_case());
        }
        let bytes = message.to_vec().map_err(io::Error::other)?;
        Ok(Sent { end: HEADER + original.len(), bytes, original, exact })
    }

    /// The answer, if it is one to this question.
    fn answered_by(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (header, asked) = bytes.get(..self.end)?.split_at(HEADER);
        let ours = &self.bytes[HEADER..self.end];
        let same = match self.exact {
            true => asked == ours,
            false => {
                let (name, rest) = asked.split_at(asked.len() - TYPE_AND_CLASS);
                let (our_name, our_rest) = ours.split_at(ours.len() - TYPE_AND_CLASS);
                name.eq_ignore_ascii_case(our_name) && rest == our_rest
            }
        };
        let one_question = header[4..6] == [0, 1];
        let fits = header[..2] == self.bytes[..2] && header[2] & QR != 0 && one_question && same;
        let rest = &bytes[self.end..];
        fits.then(|| [header, &self.original, rest].concat())
    }
}

fn encoded_question(message: &Message) -> io::Result<Vec<u8>> {
    let mut bare = Message::query();
    bare.queries.clone_from(&message.queries);
    Ok(bare.to_vec().map_err(io::Error::other)?.split_off(HEADER))
}
