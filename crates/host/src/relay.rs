//! Links with delay, for kernels without netem: a relay takes each frame at one link of a namespace
//! and puts it out at another, a while later.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use wire::Frame;

use crate::namespace::{Namespace, NamespaceError};
use crate::packet_socket::{Batch, RawSocket, interface_index};

const ETH_P_ALL: u16 = 0x0003;
const BATCH: usize = 64;
const SOCKET_BUFFER: i32 = 32 << 20;
/// What one direction of a link holds at most, in bytes of frames: 50 ms of 10 Gbit/s.
const QUEUE_LIMIT: usize = 64 << 20;

/// Two links of one namespace that shall be as one wire with a delay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayLink {
    /// The name of one link.
    pub a: String,
    /// The name of the other.
    pub b: String,
    /// How long each frame takes, in either direction.
    pub delay: Duration,
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The namespace could not be entered.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A link could not be listened to; there may be none of this name.
    #[error("relay at link {link}: {source}")]
    Link {
        /// Its name.
        link: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The thread could not be started or told.
    #[error("start a relay: {0}")]
    Thread(io::Error),
}

/// A running relay: one thread for all its links. Dropping it ends the thread; frames that are under
/// way are lost then.
///
/// A frame keeps its place in the order, its offload header and its size. Tagged frames are not
/// carried. When one of its links is deleted, that pair stays silent until a new relay is started.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    stop: OwnedFd,
    dropped: AtomicU64,
}

impl Relay {
    /// Starts to carry frames across `links`, all in `namespace`.
    ///
    /// # Errors
    /// `Link` for a link that is not there or without the right to listen, `Namespace`, `Thread`.
    pub fn start(namespace: &Namespace, links: Vec<RelayLink>) -> Result<Relay, RelayError> {
        let ends = namespace.run(|| -> Result<Vec<End>, RelayError> {
            let mut ends = Vec::new();
            for link in &links {
                ends.push(End::open(&link.a, link.delay)?);
                ends.push(End::open(&link.b, link.delay)?);
            }
            Ok(ends)
        })??;
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|e| RelayError::Thread(e.into()))?;
        let shared = Arc::new(Shared { stop, dropped: AtomicU64::new(0) });
        let carrier = Carrier { ends, shared: Arc::clone(&shared), batch: Batch::new(BATCH) };
        let thread = thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || carrier.run())
            .map_err(RelayError::Thread)?;
        Ok(Relay { shared, thread: Some(thread) })
    }

    /// How many frames were lost: queue full, refused by the link they should leave by, tagged.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.shared.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One link, and the frames that came in there. The ends lie in pairs: what comes in at one end of a
/// pair leaves by the other.
#[derive(Debug)]
struct End {
    name: String,
    socket: RawSocket,
    port: u32,
    delay: Duration,
    queue: VecDeque<(Instant, Frame)>,
    queued_bytes: usize,
}

impl End {
    fn open(name: &str, delay: Duration) -> Result<End, RelayError> {
        let opened = || {
            let port = interface_index(name)?;
            let socket = RawSocket::new()?;
            socket.mark_tagged_frames()?;
            socket.set_receive_buffer(SOCKET_BUFFER)?;
            socket.set_send_buffer(SOCKET_BUFFER)?;
            socket.promiscuous(port)?;
            socket.bind(ETH_P_ALL, port)?;
            Ok((socket, port))
        };
        let (socket, port) = opened().map_err(|source| RelayError::Link { link: name.to_owned(), source })?;
        Ok(End { name: name.to_owned(), socket, port, delay, queue: VecDeque::new(), queued_bytes: 0 })
    }
}

struct Carrier {
    ends: Vec<End>,
    shared: Arc<Shared>,
    batch: Batch,
}

impl Carrier {
    fn run(mut self) {
        // By default a sleep may be 50 µs too long.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        loop {
            let next = self.deliver();
            let Some(ready) = self.wait(next) else { return };
            for (at, _) in ready.iter().enumerate().filter(|(_, ready)| **ready) {
                self.collect(at);
            }
        }
    }

    /// Sends all frames that are due; returns when the next one will be.
    fn deliver(&mut self) -> Option<Instant> {
        let mut next = None::<Instant>;
        for pair in self.ends.chunks_exact_mut(2) {
            let [a, b] = pair else { continue };
            let mut dropped = forward(a, b);
            dropped += forward(b, a);
            self.shared.dropped.fetch_add(dropped, Ordering::Relaxed);
            for (due, _) in [a.queue.front(), b.queue.front()].into_iter().flatten() {
                next = Some(next.map_or(*due, |next| next.min(*due)));
            }
        }
        next
    }

    /// Waits for frames, but not beyond `until`; `None` when the relay shall end.
    fn wait(&self, until: Option<Instant>) -> Option<Vec<bool>> {
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(self.ends.len() + 1);
        fds.push(PollFd::new(&self.shared.stop, PollFlags::IN));
        fds.extend(self.ends.iter().map(|end| PollFd::new(&end.socket, PollFlags::IN)));
        let timeout =
            until.and_then(|until| Timespec::try_from(until.saturating_duration_since(Instant::now())).ok());
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "the relay cannot wait for frames any longer");
                return None;
            }
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        if ready.next() == Some(true) { None } else { Some(ready.collect()) }
    }

    /// Takes the frames that wait at one end.
    fn collect(&mut self, at: usize) {
        let Some(end) = self.ends.get_mut(at) else { return };
        self.batch.clear();
        if let Err(error) = self.batch.fill::<BATCH>(&end.socket) {
            tracing::warn!(%error, link = end.name, "the relay cannot receive");
        }
        let due = Instant::now() + end.delay;
        for (frame, extra) in self.batch.frames() {
            let size = frame.bytes.len();
            if extra.tagged || extra.truncated || end.queued_bytes + size > QUEUE_LIMIT {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            end.queued_bytes += size;
            // A copy of the right size: the receive buffers are 64 KiB each.
            end.queue.push_back((due, frame.clone()));
        }
    }
}

/// Sends what is due from one end out of the other; returns how many frames were lost in that.
fn forward(from: &mut End, to: &End) -> u64 {
    let mut dropped = 0;
    while let Some((due, frame)) = from.queue.front()
        && *due <= Instant::now()
    {
        if let Err(error) = to.socket.send(to.port, frame) {
            tracing::debug!(%error, link = to.name, "the relay lost a frame");
            dropped += 1;
        }
        from.queued_bytes -= frame.bytes.len();
        from.queue.pop_front();
    }
    dropped
}
