//! The route netlink requests of one namespace (rtnetlink(7)).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage, MacVlanMode,
};
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourState};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::{
    AddressMessageBuilder, Error, Handle, LinkBridge, LinkMacVlan, LinkMessageBuilder, LinkUnspec, LinkVeth,
    RouteMessageBuilder,
};
use wire::Mac;

use super::{LinkKind, ObservedRoute};
use crate::plan::{End, Route};

/// The `RTPROT_` number of our routes, so that those of DHCP clients, tunnels and people are told apart. The
/// kernel leaves numbers from 5 on to users; rtnetlink.h and iproute2's list have no 82.
const ROUTE_PROTOCOL: RouteProtocol = RouteProtocol::Other(82);

/// A link as netlink shows it: others by index and namespace id, not by name.
pub(crate) struct RawLink {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) kind: LinkKind,
    pub(crate) mac: Option<Mac>,
    pub(crate) mtu: u32,
    pub(crate) up: bool,
    pub(crate) bridge: Option<u32>,
    pub(crate) peer: Option<RawPeer>,
}

/// A veth's other end.
pub(crate) struct RawPeer {
    pub(crate) index: u32,
    /// As this namespace numbers the other; none if it is this one.
    pub(crate) namespace_id: Option<i32>,
}

pub(crate) async fn links(handle: &Handle) -> Result<Vec<RawLink>, Error> {
    handle.link().get().execute().map_ok(raw_link).try_collect().await
}

/// The index of a link, if it is there.
pub(crate) async fn index(handle: &Handle, link: &str) -> Result<Option<u32>, Error> {
    let found = handle.link().get().match_name(link.to_owned()).execute().try_next().await;
    missing_is_none(found.map(|found| found.map(|message| message.header.index)))
}

/// The number by which this namespace knows another, if it does.
pub(super) async fn namespace_id(handle: &Handle, name: &str) -> Result<Option<i32>, Error> {
    handle.link().get_netns_id(name).execute().await
}

/// All addresses but IPv6's link-local ones, which links give themselves.
pub(crate) async fn addresses(
    handle: &Handle,
    names: &BTreeMap<u32, String>,
) -> Result<BTreeSet<(String, IpNet)>, Error> {
    let mut addresses = BTreeSet::new();
    let mut messages = handle.address().get().execute();
    while let Some(message) = messages.try_next().await? {
        let local = message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(address @ IpAddr::V4(_)) => Some(*address),
            AddressAttribute::Address(IpAddr::V6(address)) if !address.is_unicast_link_local() => {
                Some((*address).into())
            }
            _ => None,
        });
        let address = local.and_then(|local| IpNet::new(local, message.header.prefix_len).ok());
        if let (Some(address), Some(link)) = (address, names.get(&message.header.index)) {
            addresses.insert((link.clone(), address));
        }
    }
    Ok(addresses)
}

/// The unicast routes of the main tables of both families.
pub(crate) async fn routes(
    handle: &Handle,
    names: &BTreeMap<u32, String>,
) -> Result<BTreeSet<ObservedRoute>, Error> {
    let mut routes = BTreeSet::new();
    for mut all in
        [RouteMessageBuilder::<Ipv4Addr>::new().build(), RouteMessageBuilder::<Ipv6Addr>::new().build()]
    {
        all.header.table = RouteHeader::RT_TABLE_UNSPEC;
        all.header.protocol = RouteProtocol::Unspec;
        all.header.scope = RouteScope::Universe;
        all.header.kind = RouteType::Unspec;
        let mut messages = handle.route().get(all).execute();
        while let Some(message) = messages.try_next().await? {
            routes.extend(observed_route(&message, names));
        }
    }
    Ok(routes)
}

pub(super) async fn neighbors(
    handle: &Handle,
    names: &BTreeMap<u32, String>,
) -> Result<BTreeSet<(String, Ipv4Addr, Mac)>, Error> {
    let mut neighbors = BTreeSet::new();
    let mut messages = handle.neighbours().get().set_address_family(AddressFamily::Inet).execute();
    while let Some(message) = messages.try_next().await? {
        if message.header.state != NeighbourState::Permanent {
            continue;
        }
        let (mut address, mut mac) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet(found)) => address = Some(*found),
                NeighbourAttribute::LinkLayerAddress(bytes) => mac = mac_of(bytes),
                _ => {}
            }
        }
        if let (Some(address), Some(mac), Some(link)) = (address, mac, names.get(&message.header.ifindex)) {
            neighbors.insert((link.clone(), address, mac));
        }
    }
    Ok(neighbors)
}

pub(super) async fn create_bridge(handle: &Handle, bridge: &str) -> Result<(), Error> {
    // A bridge that snoops joins a multicast group itself, and so speaks on a segment where only hosts should.
    let quiet = InfoBridge::MulticastSnooping(false);
    let message = LinkBridge::new(bridge).stp_state(BridgeStpState::Disabled).append_info_data(quiet).build();
    handle.link().add(message).execute().await
}

/// Makes both ends where they belong, in one request: no name is needed in passing, and no half is ever seen.
/// Only the first can be up at once: the kernel opens the other before the two are a pair (`ENOTCONN`).
pub(super) async fn create_veth(
    handle: &Handle,
    here: &End,
    there: (&End, BorrowedFd<'_>),
    mtu: u32,
) -> Result<(), Error> {
    handle.link().add(veth(here, there, mtu).up().build()).execute().await
}

/// As [`create_veth`], with both ends down.
pub(crate) async fn create_veth_down(
    handle: &Handle,
    here: &End,
    there: (&End, BorrowedFd<'_>),
    mtu: u32,
) -> Result<(), Error> {
    handle.link().add(veth(here, there, mtu).build()).execute().await
}

/// Makes a link in another namespace that speaks by the link `parent` of this one, with an address of its own. It has
/// its parent's MTU, and is down.
pub(crate) async fn create_macvlan(
    handle: &Handle,
    parent: u32,
    there: &End,
    namespace: BorrowedFd<'_>,
) -> Result<(), Error> {
    let link = LinkMacVlan::new(&there.link, parent, MacVlanMode::Bridge).setns_by_fd(namespace.as_raw_fd());
    let link = match there.mac {
        Some(mac) => link.address(mac.0.to_vec()),
        None => link,
    };
    handle.link().add(link.build()).execute().await
}

pub(super) async fn set_mac(handle: &Handle, link: u32, mac: Mac) -> Result<(), Error> {
    change(handle, LinkUnspec::new_with_index(link).address(mac.0.to_vec())).await
}

pub(super) async fn set_mtu(handle: &Handle, link: u32, mtu: u32) -> Result<(), Error> {
    change(handle, LinkUnspec::new_with_index(link).mtu(mtu)).await
}

pub(super) async fn set_bridge(handle: &Handle, link: u32, bridge: Option<u32>) -> Result<(), Error> {
    change(handle, LinkUnspec::new_with_index(link).controller(bridge.unwrap_or(0))).await
}

pub(crate) async fn set_up(handle: &Handle, link: u32) -> Result<(), Error> {
    change(handle, LinkUnspec::new_with_index(link).up()).await
}

/// Deletes a link; one that is gone is no error.
pub(crate) async fn delete_link(handle: &Handle, link: u32) -> Result<(), Error> {
    missing_is_none(handle.link().del(link).execute().await.map(Some)).map(|_| ())
}

pub(super) async fn add_address(handle: &Handle, link: u32, address: IpNet) -> Result<(), Error> {
    let request = handle.address().add(link, address.addr(), address.prefix_len());
    request.replace().execute().await
}

pub(super) async fn delete_address(handle: &Handle, link: u32, address: IpNet) -> Result<(), Error> {
    let message = match address {
        IpNet::V4(address) => AddressMessageBuilder::<Ipv4Addr>::new()
            .index(link)
            .address(address.addr(), address.prefix_len())
            .build(),
        IpNet::V6(address) => AddressMessageBuilder::<Ipv6Addr>::new()
            .index(link)
            .address(address.addr(), address.prefix_len())
            .build(),
    };
    missing_is_none(handle.address().del(message).execute().await.map(Some)).map(|_| ())
}

pub(crate) async fn add_route(handle: &Handle, route: &Route, link: Option<u32>) -> Result<(), Error> {
    handle.route().add(route_message(route, link)).replace().execute().await
}

pub(super) async fn delete_route(handle: &Handle, route: &Route, link: Option<u32>) -> Result<(), Error> {
    missing_is_none(handle.route().del(route_message(route, link)).execute().await.map(Some)).map(|_| ())
}

pub(super) async fn set_neighbor(
    handle: &Handle,
    link: u32,
    address: Ipv4Addr,
    mac: Mac,
) -> Result<(), Error> {
    let request = handle.neighbours().add(link, address.into()).link_layer_address(&mac.0);
    request.replace().execute().await
}

pub(super) async fn delete_neighbor(handle: &Handle, link: u32, address: Ipv4Addr) -> Result<(), Error> {
    let mut message = rtnetlink::packet_route::neighbour::NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = link;
    message.attributes.push(NeighbourAttribute::Destination(NeighbourAddress::Inet(address)));
    missing_is_none(handle.neighbours().del(message).execute().await.map(Some)).map(|_| ())
}

async fn change(handle: &Handle, message: LinkMessageBuilder<LinkUnspec>) -> Result<(), Error> {
    handle.link().change(message.build()).execute().await
}

fn veth(here: &End, (there, namespace): (&End, BorrowedFd<'_>), mtu: u32) -> LinkMessageBuilder<LinkVeth> {
    let peer = end(LinkMessageBuilder::<LinkUnspec>::default(), there, mtu)
        .setns_by_fd(namespace.as_raw_fd())
        .build();
    end(LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth), here, mtu)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
}

fn end<T>(message: LinkMessageBuilder<T>, end: &End, mtu: u32) -> LinkMessageBuilder<T> {
    let message = message.name(end.link.as_str()).mtu(mtu);
    match end.mac {
        Some(mac) => message.address(mac.0.to_vec()),
        None => message,
    }
}

fn route_message(route: &Route, link: Option<u32>) -> RouteMessage {
    let mut message = match route.destination.trunc() {
        IpNet::V4(to) => {
            RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(to.addr(), to.prefix_len()).build()
        }
        IpNet::V6(to) => {
            RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(to.addr(), to.prefix_len()).build()
        }
    };
    message.header.protocol = ROUTE_PROTOCOL;
    message.header.scope = if route.via.is_some() { RouteScope::Universe } else { RouteScope::Link };
    message.attributes.extend(route.via.map(|via| RouteAttribute::Gateway(via.into())));
    message.attributes.extend(link.map(RouteAttribute::Oif));
    message
}

fn observed_route(message: &RouteMessage, names: &BTreeMap<u32, String>) -> Option<ObservedRoute> {
    let header = &message.header;
    if header.table != RouteHeader::RT_TABLE_MAIN || header.kind != RouteType::Unicast {
        return None;
    }
    // The default route names no destination.
    let unspecified = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let (mut address, mut via, mut link) = (unspecified, None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(found) => address = ip(found)?,
            RouteAttribute::Gateway(found) => via = Some(ip(found)?),
            RouteAttribute::Oif(index) => link = names.get(index).cloned(),
            _ => {}
        }
    }
    let destination = IpNet::new(address, header.destination_prefix_length).ok()?;
    Some(ObservedRoute { route: Route { via, destination, link }, ours: header.protocol == ROUTE_PROTOCOL })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

fn raw_link(message: LinkMessage) -> RawLink {
    let mut link = RawLink {
        index: message.header.index,
        name: String::new(),
        kind: LinkKind::Other,
        mac: None,
        mtu: 0,
        up: message.header.flags.contains(LinkFlags::Up),
        bridge: None,
        peer: None,
    };
    let (mut other, mut namespace_id) = (None, None);
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Address(bytes) => link.mac = mac_of(&bytes),
            LinkAttribute::Controller(index) => link.bridge = Some(index),
            LinkAttribute::Link(index) => other = Some(index),
            LinkAttribute::LinkNetNsId(id) => namespace_id = Some(id),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(InfoKind::Veth) => link.kind = LinkKind::Veth,
                        LinkInfo::Kind(InfoKind::Bridge) => link.kind = LinkKind::Bridge,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if link.kind == LinkKind::Veth {
        link.peer = other.map(|index| RawPeer { index, namespace_id });
    }
    link
}

fn mac_of(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}

/// "No such device, address or route" is what deleting and looking up are answered with when it is gone.
fn missing_is_none<T>(answer: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(Error::NetlinkError(message))
            if matches!(
                -message.raw_code(),
                libc::ENODEV | libc::ESRCH | libc::EADDRNOTAVAIL | libc::ENOENT
            ) =>
        {
            Ok(None)
        }
        answer => answer,
    }
}
