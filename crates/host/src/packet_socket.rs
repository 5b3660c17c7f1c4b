//! Frames in and out of every link of one network namespace.
//!
//! Packet sockets (packet(7)) bound to one protocol each hear only what the links' tc programs let
//! pass, so a program there may take packets over without any word to us. Each frame comes with its
//! virtio header (`PACKET_VNET_HDR`), hence segments that the kernel has not cut yet stay whole.
//!
//! Several sockets share IPv4 by the link that a frame came in at, and each gets its turn: a link that
//! sends more than we can take loses its own frames, not those of other links.
//!
//! A VLAN tag is taken off a frame, and forgotten, before such a socket sees it: the frame looks like
//! any other. One more socket, bound to all protocols, sees the tag, and its filter lets nothing but
//! tagged frames in. The two copies of one frame bear the same time stamp; that is how the copy that
//! looks plain is known and left out.

mod raw;

use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{Timespec, epoll};
use wire::Frame;

pub(crate) use raw::{Batch, RawSocket, interface_index};

const ETH_P_ALL: u16 = 0x0003;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_ARP: u16 = 0x0806;
const ETH_P_IPV6: u16 = 0x86dd;

/// How many sockets share IPv4.
const IP_SOCKETS: u32 = 16;

/// With those of ARP and IPv6 and the one for tagged frames.
const SOCKETS: usize = IP_SOCKETS as usize + 3;

/// How many frames of one socket are taken in its turn.
const TURN: usize = 32;

/// Room for bursts while the engine is busy elsewhere, in bytes of kernel memory for one socket.
const IP_BUFFER: i32 = 4 << 20;
const OTHER_BUFFER: i32 = 1 << 20;
const SEND_BUFFER: i32 = 32 << 20;

/// How many tagged frames are kept in mind; the oldest is forgotten first.
const TAGGED_REMEMBERED: usize = 1024;

/// A frame that came in at a port.
#[derive(Debug)]
pub struct Received<'a> {
    /// The index of the link it came in at.
    pub port: u32,
    /// It bore a VLAN tag, which the kernel has taken off the bytes.
    pub tagged: bool,
    /// It was longer than any frame we take; its end is missing.
    pub truncated: bool,
    /// The frame, in a buffer that is used again: change it as you like, or swap it for another.
    pub frame: &'a mut Frame,
}

/// The packet sockets of one network namespace: IPv4, ARP and IPv6 from all its links, and to each.
#[derive(Debug)]
pub struct PacketSocket {
    receiver: PacketReceiver,
    sender: PacketSender,
}

/// The half of a [`PacketSocket`] that receives.
#[derive(Debug)]
pub struct PacketReceiver {
    /// Those of IPv4, then ARP and IPv6.
    sockets: Vec<RawSocket>,
    tagged: RawSocket,
    /// Tells which have frames: by their index, the tagged one last.
    epoll: OwnedFd,
    batch: Batch,
    tagged_batch: Batch,
    /// Tagged frames whose plain looking copies have yet to come. Those of other protocols never do.
    remembered: BTreeSet<(raw::Stamp, u32)>,
    drops: u64,
}

/// The half of a [`PacketSocket`] that sends.
#[derive(Debug)]
pub struct PacketSender(RawSocket);

impl PacketSocket {
    /// Opens the sockets in the network namespace of the calling thread. They stay in it wherever
    /// they are used later.
    ///
    /// # Errors
    /// What the kernel says: `EPERM` without `CAP_NET_RAW` in that namespace.
    pub fn open() -> io::Result<PacketSocket> {
        let tagged = RawSocket::new()?;
        tagged.stamp_frames()?;
        tagged.only_tagged_frames()?;
        // Before the others, so that no tagged frame reaches them unseen.
        tagged.bind(ETH_P_ALL, 0)?;
        let mut sockets = ip_sockets()?;
        for protocol in [ETH_P_ARP, ETH_P_IPV6] {
            let socket = receiving(OTHER_BUFFER)?;
            socket.bind(protocol, 0)?;
            sockets.push(socket);
        }
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (index, socket) in sockets.iter().chain([&tagged]).enumerate() {
            epoll::add(&epoll, socket, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
        }
        let send = RawSocket::new()?;
        send.set_send_buffer(SEND_BUFFER)?;
        let receiver = PacketReceiver {
            sockets,
            tagged,
            epoll,
            batch: Batch::new(TURN),
            tagged_batch: Batch::new(TURN),
            remembered: BTreeSet::new(),
            drops: 0,
        };
        Ok(PacketSocket { receiver, sender: PacketSender(send) })
    }

    /// Both halves, to send while receiving.
    pub fn split(&mut self) -> (&mut PacketReceiver, &PacketSender) {
        (&mut self.receiver, &self.sender)
    }
}

/// To wait on: readable when there is something to [`receive`](PacketReceiver::receive).
impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.epoll.as_fd()
    }
}

impl PacketReceiver {
    /// Hands each waiting frame, up to some dozens, to `f`; returns how many there were, 0 if none
    /// is left. It never waits.
    ///
    /// # Errors
    /// What the kernel says, if it is more than "nothing there".
    pub fn receive(&mut self, f: &mut dyn FnMut(Received<'_>)) -> io::Result<usize> {
        let mut events = [MaybeUninit::uninit(); SOCKETS];
        let (ready, _) = epoll::wait(&self.epoll, &mut events, Some(&Timespec::default()))?;
        let mut count = 0;
        for event in ready {
            count += self.take_turn(event.data.u64() as usize, f)?;
        }
        Ok(count)
    }

    /// How many frames the kernel has dropped, since the sockets were opened, because we did not
    /// fetch them in time.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn kernel_drops(&mut self) -> io::Result<u64> {
        for socket in &self.sockets {
            self.drops += u64::from(socket.take_drops()?);
        }
        Ok(self.drops)
    }

    fn take_turn(&mut self, socket: usize, f: &mut dyn FnMut(Received<'_>)) -> io::Result<usize> {
        self.batch.clear();
        if let Some(socket) = self.sockets.get(socket) {
            self.batch.fill::<TURN>(socket)?;
        }
        // After the other: the copy with the tag is queued before the one that looks plain.
        let mut count = self.receive_tagged(f)?;
        for (frame, extra) in self.batch.frames() {
            if self.remembered.remove(&(extra.stamp, extra.port)) {
                continue;
            }
            count += 1;
            f(Received { port: extra.port, tagged: false, truncated: extra.truncated, frame });
        }
        Ok(count)
    }

    fn receive_tagged(&mut self, f: &mut dyn FnMut(Received<'_>)) -> io::Result<usize> {
        let mut count = 0;
        loop {
            self.tagged_batch.clear();
            let filled = self.tagged_batch.fill::<TURN>(&self.tagged)?;
            for (frame, extra) in self.tagged_batch.frames() {
                if self.remembered.len() == TAGGED_REMEMBERED {
                    self.remembered.pop_first();
                }
                self.remembered.insert((extra.stamp, extra.port));
                f(Received { port: extra.port, tagged: true, truncated: extra.truncated, frame });
            }
            count += filled;
            // All of them, or a plain looking copy would get ahead; but a flood must not keep us here.
            if filled < TURN || count >= TAGGED_REMEMBERED {
                return Ok(count);
            }
        }
    }
}

impl PacketSender {
    /// Sends a frame out of the link with index `port`, with its offload header as it is.
    ///
    /// # Errors
    /// `WouldBlock` or `ENOBUFS` when buffers are full, `EINVAL` when the kernel refuses the frame's
    /// offload fields, `ENXIO` when there is no such link, `ENETDOWN` when it is down, `EMSGSIZE` when
    /// the frame exceeds its MTU. The frame is lost then; nothing is tried again.
    pub fn send(&self, port: u32, frame: &Frame) -> io::Result<()> {
        self.0.send(port, frame)
    }
}

/// The sockets that share IPv4.
fn ip_sockets() -> io::Result<Vec<RawSocket>> {
    let mut sockets = Vec::new();
    let mut group = None;
    for _ in 0..IP_SOCKETS {
        let socket = receiving(IP_BUFFER)?;
        // One that is bound and has not joined yet would hear what others of the group hear, too.
        socket.close_ears()?;
        socket.bind(ETH_P_IP, 0)?;
        group = Some(socket.share_by_link(group, IP_SOCKETS)?);
        sockets.push(socket);
    }
    sockets.iter().try_for_each(RawSocket::open_ears)?;
    Ok(sockets)
}

fn receiving(buffer: i32) -> io::Result<RawSocket> {
    let socket = RawSocket::new()?;
    socket.stamp_frames()?;
    socket.set_receive_buffer(buffer)?;
    Ok(socket)
}
