//! The system calls of packet(7), recvmmsg(2) and sendmsg(2).

use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use wire::{Frame, Offload};

/// virtio_net_hdr, which precedes each frame.
const OFFLOAD_LEN: usize = 10;
/// An IPv4 packet of the greatest length, its Ethernet header and a tag or two.
const FRAME_CAPACITY: usize = 65_600;

/// When the kernel saw a frame first: seconds and nanoseconds. All its copies bear the same.
pub(crate) type Stamp = (i64, i64);

/// What the kernel says about a frame besides its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extra {
    /// The index of the link it came in at.
    pub(crate) port: u32,
    /// The frame's end is missing.
    pub(crate) truncated: bool,
    /// It bore a VLAN tag (seen only by a socket bound to all protocols that asked for it).
    pub(crate) tagged: bool,
    /// When it came in (zero unless the socket asked for stamps).
    pub(crate) stamp: Stamp,
}

/// The index of the link of this name in the thread's network namespace.
pub(crate) fn interface_index(name: &str) -> io::Result<u32> {
    let name = CString::new(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: `name` is a string that ends in NUL.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// Packet sockets that share what comes in (`PACKET_FANOUT`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group(u32);

/// One non-blocking packet socket with virtio headers that ignores what the machine itself sends.
#[derive(Debug)]
pub(crate) struct RawSocket(OwnedFd);

impl RawSocket {
    /// A socket that hears nothing until it is bound.
    pub(crate) fn new() -> io::Result<RawSocket> {
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: a call without pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` is new and nobody else's.
        let socket = RawSocket(unsafe { OwnedFd::from_raw_fd(fd) });
        socket.set(libc::SOL_PACKET, libc::PACKET_VNET_HDR, &1_i32)?;
        socket.set(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1_i32)?;
        Ok(socket)
    }

    /// Listens to a protocol (`ETH_P_…`, host byte order) on one link, or on all if `port` is 0.
    pub(crate) fn bind(&self, protocol: u16, port: u32) -> io::Result<()> {
        let address = link_address(protocol, port);
        // SAFETY: `address` lives through the call, and the length is its own.
        let result = unsafe {
            libc::bind(self.0.as_raw_fd(), ptr::from_ref(&address).cast(), length_of::<libc::sockaddr_ll>())
        };
        checked(result)
    }

    /// Asks for [`Extra::stamp`].
    pub(crate) fn stamp_frames(&self) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1_i32)
    }

    /// Asks for [`Extra::tagged`].
    pub(crate) fn mark_tagged_frames(&self) -> io::Result<()> {
        self.set(libc::SOL_PACKET, libc::PACKET_AUXDATA, &1_i32)
    }

    /// Lets no frame in but those with a VLAN tag.
    pub(crate) fn only_tagged_frames(&self) -> io::Result<()> {
        self.set_program(
            (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER),
            &mut [
                load(libc::SKF_AD_VLAN_TAG_PRESENT),
                libc::sock_filter { jf: 1, ..instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0) },
                instruction(libc::BPF_RET | libc::BPF_K, 0),
                instruction(libc::BPF_RET | libc::BPF_K, u32::MAX),
            ],
        )
    }

    /// Lets no frame in.
    pub(crate) fn close_ears(&self) -> io::Result<()> {
        let nothing = &mut [instruction(libc::BPF_RET | libc::BPF_K, 0)];
        self.set_program((libc::SOL_SOCKET, libc::SO_ATTACH_FILTER), nothing)
    }

    /// Lets all frames in again.
    pub(crate) fn open_ears(&self) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0_i32)
    }

    /// Shares what comes in with other sockets bound to the same: each of the `size` sockets of a group hears
    /// the links whose indices leave the same remainder. Without a group it makes one; returns the group.
    pub(crate) fn share_by_link(&self, group: Option<Group>, size: u32) -> io::Result<Group> {
        let new = libc::PACKET_FANOUT_CBPF
            | libc::PACKET_FANOUT_FLAG_UNIQUEID
            | libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
        let Group(wanted) = group.unwrap_or(Group(new << 16));
        self.set(libc::SOL_PACKET, libc::PACKET_FANOUT, &wanted)?;
        if let Some(joined) = group {
            return Ok(joined);
        }
        self.set_program(
            (libc::SOL_PACKET, libc::PACKET_FANOUT_DATA),
            &mut [
                load(libc::SKF_AD_IFINDEX),
                instruction(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, size),
                instruction(libc::BPF_RET | libc::BPF_A, 0),
            ],
        )?;
        self.get(libc::SOL_PACKET, libc::PACKET_FANOUT, 0).map(Group)
    }

    /// Takes every frame on the link, whatever its destination, as long as the socket is open.
    pub(crate) fn promiscuous(&self, port: u32) -> io::Result<()> {
        let request = libc::packet_mreq {
            mr_ifindex: port.cast_signed(),
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        self.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    /// Sets the receive buffer, beyond the machine's limit if we may.
    pub(crate) fn set_receive_buffer(&self, bytes: i32) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
            .or_else(|_| self.set(libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes))
    }

    /// Sets the send buffer, beyond the machine's limit if we may.
    pub(crate) fn set_send_buffer(&self, bytes: i32) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &bytes)
            .or_else(|_| self.set(libc::SOL_SOCKET, libc::SO_SNDBUF, &bytes))
    }

    /// How many frames were dropped for want of buffer since the last call.
    pub(crate) fn take_drops(&self) -> io::Result<u32> {
        let none = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        Ok(self.get(libc::SOL_PACKET, libc::PACKET_STATISTICS, none)?.tp_drops)
    }

    /// Sends a frame, its offload header before it, out of a link.
    pub(crate) fn send(&self, port: u32, frame: &Frame) -> io::Result<()> {
        let protocol = match frame.bytes.get(12..14) {
            Some(&[high, low]) => u16::from_be_bytes([high, low]),
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let mut address = link_address(protocol, port);
        let mut offload = frame.offload.to_bytes();
        let mut parts = [
            libc::iovec { iov_base: offload.as_mut_ptr().cast(), iov_len: OFFLOAD_LEN },
            libc::iovec { iov_base: frame.bytes.as_ptr().cast_mut().cast(), iov_len: frame.bytes.len() },
        ];
        // SAFETY: a msghdr of zeros is an empty message.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_name = ptr::from_mut(&mut address).cast();
        message.msg_namelen = length_of::<libc::sockaddr_ll>();
        message.msg_iov = parts.as_mut_ptr();
        message.msg_iovlen = parts.len() as _;
        // SAFETY: all that `message` points to lives through the call, and sendmsg only reads it.
        let sent = unsafe { libc::sendmsg(self.0.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn set<T>(&self, level: i32, name: i32, value: &T) -> io::Result<()> {
        // SAFETY: the kernel reads at most the length of `value`.
        let result = unsafe {
            libc::setsockopt(self.0.as_raw_fd(), level, name, ptr::from_ref(value).cast(), length_of::<T>())
        };
        checked(result)
    }

    fn set_program(&self, (level, name): (i32, i32), program: &mut [libc::sock_filter]) -> io::Result<()> {
        let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        self.set(level, name, &program)
    }

    /// An option of integers only: the kernel may fill in any bytes.
    fn get<T: Copy>(&self, level: i32, name: i32, mut value: T) -> io::Result<T> {
        let mut length = length_of::<T>();
        // SAFETY: the kernel writes at most `length` bytes into `value`.
        let result = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                level,
                name,
                ptr::from_mut(&mut value).cast(),
                &raw mut length,
            )
        };
        checked(result).map(|()| value)
    }
}

impl AsFd for RawSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Buffers for frames, used again and again.
#[derive(Debug)]
pub(crate) struct Batch {
    slots: Vec<Slot>,
    filled: usize,
}

/// One frame, and where the other parts of its message go.
#[derive(Debug)]
struct Slot {
    frame: Frame,
    extra: Extra,
    offload: [u8; OFFLOAD_LEN],
    from: libc::sockaddr_ll,
    /// Room for two control messages, aligned as cmsg(3) asks.
    control: [u64; 16],
}

impl Batch {
    /// Room for so many frames.
    pub(crate) fn new(capacity: usize) -> Batch {
        let slot = || Slot {
            frame: Frame::new(Vec::new()),
            extra: Extra { port: 0, truncated: false, tagged: false, stamp: (0, 0) },
            offload: [0; OFFLOAD_LEN],
            from: link_address(0, 0),
            control: [0; 16],
        };
        Batch { slots: std::iter::repeat_with(slot).take(capacity).collect(), filled: 0 }
    }

    /// Forgets the frames.
    pub(crate) fn clear(&mut self) {
        self.filled = 0;
    }

    /// The frames since [`clear`](Self::clear), in order.
    pub(crate) fn frames(&mut self) -> impl Iterator<Item = (&mut Frame, Extra)> {
        self.slots.iter_mut().take(self.filled).map(|slot| (&mut slot.frame, slot.extra))
    }

    /// Adds what waits in the socket, at most `N` frames; returns how many.
    pub(crate) fn fill<const N: usize>(&mut self, socket: &RawSocket) -> io::Result<usize> {
        let count = receive::<N>(socket, self.slots.get_mut(self.filled..).unwrap_or_default())?;
        self.filled += count;
        Ok(count)
    }
}

/// Takes at most `N` frames into as many slots.
fn receive<const N: usize>(socket: &RawSocket, slots: &mut [Slot]) -> io::Result<usize> {
    // SAFETY: integers and null pointers: zeros are a value of it.
    let mut parts: [[libc::iovec; 2]; N] = unsafe { mem::zeroed() };
    // SAFETY: as above.
    let mut messages: [libc::mmsghdr; N] = unsafe { mem::zeroed() };
    for ((slot, parts), message) in slots.iter_mut().zip(&mut parts).zip(&mut messages) {
        let bytes = &mut slot.frame.bytes;
        bytes.clear();
        bytes.reserve_exact(FRAME_CAPACITY);
        parts[0] = libc::iovec { iov_base: slot.offload.as_mut_ptr().cast(), iov_len: OFFLOAD_LEN };
        parts[1] = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.capacity() };
        let header = &mut message.msg_hdr;
        header.msg_name = ptr::from_mut(&mut slot.from).cast();
        header.msg_namelen = length_of::<libc::sockaddr_ll>();
        header.msg_iov = parts.as_mut_ptr();
        header.msg_iovlen = parts.len() as _;
        header.msg_control = slot.control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&slot.control) as _;
    }
    let wanted = slots.len().min(N) as u32;
    // SAFETY: each of the `wanted` messages points to buffers of the lengths it names, all of them
    // alive until the call returns.
    let count = unsafe {
        libc::recvmmsg(
            socket.0.as_raw_fd(),
            messages.as_mut_ptr(),
            wanted,
            libc::MSG_DONTWAIT,
            ptr::null_mut(),
        )
    };
    if count < 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            // The next call has the rest. EINVAL: a frame whose offload has no virtio form, which the
            // kernel has thrown away. ENETDOWN: told once when a link goes down.
            Some(libc::EAGAIN | libc::EINTR | libc::EINVAL | libc::ENETDOWN) => Ok(0),
            _ => Err(error),
        };
    }
    let count = count as usize;
    for (slot, message) in slots.iter_mut().zip(&messages).take(count) {
        let length = (message.msg_len as usize).saturating_sub(OFFLOAD_LEN);
        // SAFETY: the kernel has written that many bytes into the spare capacity.
        unsafe { slot.frame.bytes.set_len(length.min(slot.frame.bytes.capacity())) };
        slot.frame.offload = Offload::from_bytes(slot.offload);
        slot.extra = extra(&message.msg_hdr, slot.from.sll_ifindex.cast_unsigned());
    }
    Ok(count)
}

/// Reads the control messages of a received message.
fn extra(message: &libc::msghdr, port: u32) -> Extra {
    let truncated = message.msg_flags & libc::MSG_TRUNC != 0;
    let mut extra = Extra { port, truncated, tagged: false, stamp: (0, 0) };
    // SAFETY: recvmmsg has filled in the message and its control buffer, which are still alive.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: a control message of the kernel, or null at their end.
    while let Some(header) = unsafe { next.as_ref() } {
        // SAFETY: within the control buffer, as the header says.
        let data = unsafe { libc::CMSG_DATA(header) };
        match (header.cmsg_level, header.cmsg_type) {
            (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                // SAFETY: the kernel puts a tpacket_auxdata there, at any alignment.
                let auxiliary = unsafe { data.cast::<libc::tpacket_auxdata>().read_unaligned() };
                extra.tagged = auxiliary.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                // SAFETY: the kernel puts a timespec there, at any alignment.
                let time = unsafe { data.cast::<libc::timespec>().read_unaligned() };
                extra.stamp = (time.tv_sec, time.tv_nsec);
            }
            _ => {}
        }
        // SAFETY: as for the first.
        next = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    extra
}

/// An instruction of a classic BPF program.
fn instruction(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Loads what the kernel knows about a frame (`SKF_AD_…`).
fn load(what: i32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (libc::SKF_AD_OFF + what).cast_unsigned())
}

fn link_address(protocol: u16, port: u32) -> libc::sockaddr_ll {
    // SAFETY: integers only.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = port.cast_signed();
    address
}

fn length_of<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

fn checked(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
