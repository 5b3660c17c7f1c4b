//! Bytes to headers and back: one owned [`Frame`], a [`Packet`] parsed once from it, a [`FlowKey`] that
//! names its flow, and one composable edit, [`Rewrite`]. Each is one type for IPv4 and IPv6.
//!
//! # What never panics
//!
//! [`Packet::parse`], [`arp::parse`], [`Ethertype::of`], [`Offload::validate`], [`Frame::finish_checksum`]
//! and [`show()`] take bytes from anybody and never panic, whatever the bytes are. What works on a frame
//! *and* a packet ([`Rewrite::apply`], [`Rewrite::apply_quoted`], [`fragment::split`], [`icmp_error`],
//! [`nd::parse`], [`tcp_reset()`], [`Packet::verify_icmp`], [`Packet::payload`]) expects the packet to have
//! been parsed from that frame; given a shorter frame it leaves it alone instead of panicking. [`build`] makes
//! frames from the program's own values and is the only part that cuts what does not fit.
//!
//! # Checksums
//!
//! The IPv4 header checksum is always complete and always verified. The checksum of TCP and UDP may be left
//! to the kernel (`VIRTIO_NET_HDR_F_NEEDS_CSUM`, see [`Offload`]): its field then holds the sum of the pseudo
//! header, not complemented, and changes with the addresses only. Every edit is incremental (RFC 1624), so a
//! packet that was corrupt before an edit is still corrupt after it, also in the other family.

pub mod arp;
pub mod build;
mod checksum;
mod flow;
pub mod fragment;
mod frame;
pub mod icmp_error;
mod ip;
mod mac;
mod malformed;
pub mod nat64;
pub mod nd;
mod offload;
mod packet;
mod quoted;
mod rewrite;
mod show;
mod tcp_reset;
mod translate;
mod transport;
mod untranslatable;

pub use flow::{FlowKey, FlowProto};
pub use frame::{Ethertype, Frame};
pub use mac::{BadMac, Mac};
pub use malformed::Malformed;
pub use offload::{BadOffload, Offload};
pub use packet::{Fragment, Packet};
pub use quoted::Quoted;
pub use rewrite::Rewrite;
pub use show::show;
pub use tcp_reset::tcp_reset;
pub use transport::{TcpFlags, Transport};
pub use untranslatable::Untranslatable;

/// Length of an Ethernet header without tags: where the IP header or the ARP packet of a frame begins.
pub const ETHERNET_LEN: usize = 14;
