//! The tree of values an instance can ask for (EC2 User Guide, "Instance metadata categories").
//!
//! A listing and the values under it come from the same tree, so a listing cannot name what is not served.
//! A value that an instance does not have is absent from the tree, not empty: clients that walk it give up
//! when something listed is missing, and take an empty value for a value.

use std::collections::BTreeMap;
use std::fmt::Display;

use model::{AddressFamily, NetworkInterface};

use super::identity::Identity;
use super::identity_document;

/// Versions of the tree that can be asked for by date. All are served alike.
const DATED: [&str; 28] = [
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "2011-01-01",
    "2011-05-01",
    "2012-01-12",
    "2014-02-25",
    "2014-11-05",
    "2015-10-20",
    "2016-04-19",
    "2016-06-30",
    "2016-09-02",
    "2018-03-28",
    "2018-08-17",
    "2018-09-24",
    "2019-10-01",
    "2020-10-27",
    "2021-01-03",
    "2021-03-23",
    "2021-07-15",
    "2022-09-24",
    "2024-04-11",
];

/// The newest version, whichever it is.
const LATEST: &str = "latest";

/// Whether `path` lies under a version given by its date.
pub(super) fn is_dated(path: &str) -> bool {
    segments(path).next().is_some_and(|version| DATED.contains(&version))
}

/// The value at `path`, or the listing if it is a directory, with or without a slash at its end.
pub(super) fn get(identity: &Identity<'_>, path: &str) -> Option<Vec<u8>> {
    let mut segments = segments(path);
    match segments.next() {
        None => return Some(lines(DATED.iter().chain([&LATEST]))),
        Some(version) if version == LATEST || DATED.contains(&version) => {}
        Some(_) => return None,
    }
    let Some(category) = segments.next() else {
        // The categories are the only directories that are listed without a slash.
        return Some(lines(version(identity).0.keys()));
    };
    let mut node = version(identity).0.remove(category)?;
    for segment in segments {
        match node {
            Node::Directory(mut directory) | Node::Titled(_, mut directory) => {
                node = directory.0.remove(segment)?;
            }
            Node::Leaf(_) => return None,
        }
    }
    Some(match node {
        Node::Leaf(value) => value,
        Node::Directory(directory) | Node::Titled(_, directory) => directory.listing(),
    })
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

enum Node {
    Leaf(Vec<u8>),
    Directory(Directory),
    /// A directory that is listed with a title, as `0=me`, and reached without it.
    Titled(String, Directory),
}

#[derive(Default)]
struct Directory(BTreeMap<String, Node>);

impl Directory {
    fn leaf(&mut self, name: &str, value: impl Display) {
        self.list(name, [value]);
    }

    /// A value of several lines; absent if there are none.
    fn list(&mut self, name: &str, values: impl IntoIterator<Item: Display>) {
        self.bytes(name, lines(values));
    }

    fn bytes(&mut self, name: &str, value: Vec<u8>) {
        if !value.is_empty() {
            self.0.insert(name.to_owned(), Node::Leaf(value));
        }
    }

    fn directory(&mut self, name: impl Display, directory: Directory) {
        if !directory.0.is_empty() {
            self.0.insert(name.to_string(), Node::Directory(directory));
        }
    }

    fn listing(&self) -> Vec<u8> {
        lines(self.0.iter().map(|(name, node)| match node {
            Node::Leaf(_) => name.clone(),
            Node::Directory(_) => format!("{name}/"),
            Node::Titled(title, _) => format!("{name}={title}"),
        }))
    }
}

fn lines(values: impl IntoIterator<Item: Display>) -> Vec<u8> {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join("\n").into_bytes()
}

fn version(identity: &Identity<'_>) -> Directory {
    let mut version = Directory::default();
    version.directory("dynamic", dynamic(identity));
    version.directory("meta-data", meta_data(identity));
    if let Some(user_data) = &identity.instance.user_data {
        version.bytes("user-data", user_data.clone());
    }
    version
}

/// Signatures of the document are absent: nobody could check them.
fn dynamic(identity: &Identity<'_>) -> Directory {
    let mut instance_identity = Directory::default();
    if let Some(document) = identity_document::of(identity) {
        instance_identity.bytes("document", document);
    }
    let mut dynamic = Directory::default();
    dynamic.directory("instance-identity", instance_identity);
    dynamic
}

fn meta_data(identity: &Identity<'_>) -> Directory {
    let (region, instance) = (identity.region, identity.instance);
    let mut data = Directory::default();
    data.leaf("ami-id", instance.image);
    data.leaf("ami-launch-index", instance.launch_index);
    data.leaf("instance-id", instance.id);
    data.leaf("instance-type", &instance.instance_type);
    data.leaf("reservation-id", instance.reservation);
    data.directory("public-keys", public_keys(identity));
    if let Some(primary) = identity.interfaces().next() {
        let name = identity.private_dns_name(primary);
        data.leaf("hostname", &name);
        data.leaf("local-hostname", &name);
        data.leaf("local-ipv4", primary.private_ip);
        data.list("ipv6", primary.ipv6_addresses.first());
        data.leaf("mac", primary.mac);
        let public_ipv4 = region.public_address_of(primary.id, primary.private_ip);
        data.list("public-hostname", public_ipv4.and_then(|ip| region.public_dns_name(primary.id, ip)));
        data.list("public-ipv4", public_ipv4);
        data.list("security-groups", identity.group_names(primary));
        data.directory("placement", placement(identity, primary));
    }
    data.directory("network", network(identity));
    data
}

/// The one key pair that an instance can be launched with.
fn public_keys(identity: &Identity<'_>) -> Directory {
    let mut keys = Directory::default();
    if let (Some(name), Some(key)) = (&identity.instance.key_name, &identity.instance.public_key) {
        let mut formats = Directory::default();
        formats.leaf("openssh-key", key);
        keys.0.insert("0".to_owned(), Node::Titled(name.clone(), formats));
    }
    keys
}

fn placement(identity: &Identity<'_>, primary: &NetworkInterface) -> Directory {
    let mut placement = Directory::default();
    if let Some(subnet) = identity.region.subnets().get(&primary.subnet) {
        placement.leaf("availability-zone", &subnet.availability_zone);
    }
    placement.leaf("region", &identity.region.key().region);
    placement
}

fn network(identity: &Identity<'_>) -> Directory {
    let mut macs = Directory::default();
    for interface in identity.interfaces() {
        macs.directory(interface.mac, interface_data(identity, interface));
    }
    let mut interfaces = Directory::default();
    interfaces.directory("macs", macs);
    let mut network = Directory::default();
    network.directory("interfaces", interfaces);
    network
}

fn interface_data(identity: &Identity<'_>, interface: &NetworkInterface) -> Directory {
    let region = identity.region;
    let public = |private| region.public_address_of(interface.id, private);

    let mut data = Directory::default();
    data.list("device-number", interface.attachment.as_ref().map(|attachment| attachment.device_index));
    data.leaf("interface-id", interface.id);
    data.leaf("local-hostname", identity.private_dns_name(interface));
    data.list("local-ipv4s", interface.addresses());
    data.leaf("mac", interface.mac);
    data.leaf("owner-id", &region.key().account);
    let public_name = public(interface.private_ip).and_then(|ip| region.public_dns_name(interface.id, ip));
    data.list("public-hostname", public_name);
    data.list("public-ipv4s", interface.addresses().filter_map(public));
    data.list("security-group-ids", &interface.groups);
    data.list("security-groups", identity.group_names(interface));
    data.leaf("subnet-id", interface.subnet);
    data.leaf("vpc-id", interface.vpc);
    data.list("ipv6s", &interface.ipv6_addresses);
    data.list("ipv4-prefix", interface.prefixes_of(AddressFamily::Ipv4));
    data.list("ipv6-prefix", interface.prefixes_of(AddressFamily::Ipv6));
    let subnet6 = region.subnets().get(&interface.subnet).and_then(|subnet| subnet.ipv6);
    data.list("subnet-ipv6-cidr-blocks", subnet6.map(|block| block.cidr));
    let vpc6 = region.vpcs().get(&interface.vpc).into_iter().flat_map(|vpc| &vpc.ipv6);
    data.list("vpc-ipv6-cidr-blocks", vpc6.map(|block| block.cidr));
    data.list("subnet-ipv4-cidr-block", region.subnets().get(&interface.subnet).map(|subnet| subnet.cidr));
    if let Some(vpc) = region.vpcs().get(&interface.vpc) {
        data.leaf("vpc-ipv4-cidr-block", vpc.cidr);
        data.list("vpc-ipv4-cidr-blocks", vpc.cidrs());
    }

    let mut associations = Directory::default();
    for private in interface.addresses() {
        if let Some(public) = public(private) {
            associations.leaf(&public.to_string(), private);
        }
    }
    data.directory("ipv4-associations", associations);
    data
}

#[cfg(test)]
mod tests {
    use model::{
        AccountId, Applied, Change, InterfaceSource, Ipv6Addresses, Launch, Region, RegionKey, RegionName,
        Tags,
    };

    use super::*;

    /// An instance with two IPv6 addresses, and the path to what is told of its interface.
    fn told(name: &str) -> Option<String> {
        let key =
            RegionKey { account: AccountId("000000000000".into()), region: RegionName("eu-west-1".into()) };
        let mut region = Region::new(key, 1);
        let (cidr, tags) = ("10.0.0.0/16".parse().unwrap(), Tags::new());
        let Ok(Applied::Vpc(vpc)) = region.apply(Change::CreateVpc { cidr, tags }) else { panic!("no VPC") };
        let (cidr, tags) = ("10.0.1.0/24".parse().unwrap(), Tags::new());
        let create = Change::CreateSubnet { vpc, cidr, availability_zone: None, tags };
        let Ok(Applied::Subnet(subnet)) = region.apply(create) else { panic!("no subnet") };
        let cidr = "2001:db8::/56".parse().unwrap();
        region.apply(Change::AssociateVpcIpv6CidrBlock { vpc, cidr }).unwrap();
        let cidr = "2001:db8:0:1::/64".parse().unwrap();
        region.apply(Change::AssociateSubnetCidrBlock { subnet, cidr }).unwrap();
        let mut launch = Launch::new(
            "ami-00000001".parse().unwrap(),
            "t3.micro".to_owned(),
            model::NewInterface::new(subnet),
        );
        let first = &mut launch.interfaces[0].source;
        if let InterfaceSource::New { interface: new, .. } = first {
            new.ipv6 = Some(Ipv6Addresses::Count(2));
        }
        region.apply(Change::RunInstances(launch)).unwrap();
        let instance = region.instances().values().next().unwrap();
        let mac = region.interfaces()[&instance.interfaces[0]].mac;
        let identity = Identity { region: &region, instance };
        let path = format!("/latest/meta-data/{}", name.replace("{mac}", &mac.to_string()));
        get(&identity, &path).map(|value| String::from_utf8(value).unwrap())
    }

    #[test]
    fn ipv6_is_told() {
        for (name, value) in [
            ("ipv6", "2001:db8:0:1::4"),
            ("network/interfaces/macs/{mac}/ipv6s", "2001:db8:0:1::4\n2001:db8:0:1::5"),
            ("network/interfaces/macs/{mac}/subnet-ipv6-cidr-blocks", "2001:db8:0:1::/64"),
            ("network/interfaces/macs/{mac}/vpc-ipv6-cidr-blocks", "2001:db8::/56"),
        ] {
            assert_eq!(told(name).as_deref(), Some(value), "{name}");
        }
    }
}
