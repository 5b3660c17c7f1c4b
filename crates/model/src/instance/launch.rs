//! Launching instances.

use serde::{Deserialize, Serialize};

use crate::address_pool::AddressPool;
use crate::fault::{Fault, InvalidValue};
use crate::id::{ImageId, InstanceId, InterfaceId, ReservationId, VpcId};
use crate::instance::{Instance, InstanceState, MetadataOptions, check_metadata, check_user_data, counts};
use crate::interface::{Attachment, NewInterface, PlannedInterface};
use crate::quota::Quota;
use crate::region::Region;
use crate::tag::{self, Tags};
use crate::user_data;

/// All that a launch needs to know: EC2's RunInstances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// How many instances; at least one.
    pub count: u32,
    /// What they run. Not looked up: images are the caller's.
    pub image: ImageId,
    /// Such as "t3.micro". Not looked up.
    pub instance_type: String,
    /// The interfaces of each instance in any order, one of them at device index 0. More than one instance can have
    /// neither existing interfaces nor private addresses that are named.
    pub interfaces: Vec<LaunchInterface>,
    /// The name of a key pair.
    pub key_name: Option<String>,
    /// At most 16 KiB, as the instances are to get it.
    #[serde(with = "user_data")]
    pub user_data: Option<Vec<u8>>,
    /// How the metadata service answers them.
    pub metadata: MetadataOptions,
    /// Whether they are protected from being terminated.
    pub disable_api_termination: bool,
    /// When, in seconds since 1970.
    pub time: u64,
    /// The client token of the request. Shown with its instances; whether it came before is for the caller to know.
    pub client_token: Option<String>,
    /// Their tags.
    pub tags: Tags,
}

/// An interface that instances are launched with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchInterface {
    /// Which of the instance's interfaces it is; 0 is the primary.
    pub device_index: u32,
    /// Whether it goes when the instance is terminated. EC2's default is yes for a new one and no for an existing one.
    pub delete_on_termination: bool,
    /// Where it comes from.
    pub source: InterfaceSource,
}

/// Where an interface of a launch comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InterfaceSource {
    /// It is there, and attached to nothing.
    Existing(InterfaceId),
    /// It is made for the instance.
    New {
        /// The interface.
        interface: NewInterface,
        /// Whether it gets a public address that is no Elastic IP address; as its subnet has it if that is not said.
        /// To be said only of an instance's one interface: one of several gets none.
        associate_public_ip: Option<bool>,
    },
}

/// A [`LaunchInterface`] of one of the instances that nothing is wrong with.
struct Planned {
    device_index: u32,
    delete_on_termination: bool,
    source: PlannedSource,
}

enum PlannedSource {
    Existing(InterfaceId),
    New { interface: Box<PlannedInterface>, associate_public_ip: bool },
}

impl Launch {
    /// One instance with one new interface at second 0, and nothing else.
    pub fn new(image: ImageId, instance_type: String, interface: NewInterface) -> Launch {
        let source = interface.into();
        Launch {
            count: 1,
            image,
            instance_type,
            interfaces: vec![LaunchInterface { device_index: 0, delete_on_termination: true, source }],
            key_name: None,
            user_data: None,
            metadata: MetadataOptions::default(),
            disable_api_termination: false,
            time: 0,
            client_token: None,
            tags: Tags::new(),
        }
    }
}

impl Region {
    pub(crate) fn run_instances(
        &mut self,
        launch: Launch,
    ) -> Result<(ReservationId, Vec<InstanceId>), Fault> {
        if launch.count == 0 {
            return Err(InvalidValue::NoInstances.into());
        }
        check_user_data(launch.user_data.as_ref())?;
        check_metadata(launch.metadata)?;
        tag::check(&launch.tags)?;
        let public_key = match &launch.key_name {
            None => None,
            Some(name) => {
                let key_pair = self.key_pair_named(name);
                Some(key_pair.ok_or_else(|| Fault::KeyPairNotFound(name.clone()))?.public_key.clone())
            }
        };
        let planned = self.plan_interfaces(&launch)?;
        for interface in planned.iter().flatten() {
            self.check_type(interface, &launch.instance_type)?;
        }
        for interface in planned.iter().flatten() {
            self.allow_addresses(&launch.instance_type, self.counts_of(interface))?;
        }

        let reservation = self.draw();
        let mut instances = Vec::new();
        for (launch_index, interfaces) in (0..).zip(planned) {
            let id = self.draw();
            let instance = Instance {
                id,
                reservation,
                launch_index,
                launch_time: launch.time,
                image: launch.image,
                instance_type: launch.instance_type.clone(),
                state: InstanceState::Pending,
                state_reason: None,
                state_time: launch.time,
                has_run: false,
                impaired_since: None,
                reboots: 0,
                client_token: launch.client_token.clone(),
                interfaces: interfaces
                    .into_iter()
                    .map(|planned| self.attach(id, planned, launch.time))
                    .collect(),
                key_name: launch.key_name.clone(),
                public_key: public_key.clone(),
                user_data: launch.user_data.clone(),
                metadata: launch.metadata,
                disable_api_termination: launch.disable_api_termination,
                tags: launch.tags.clone(),
            };
            self.instances.insert(id, instance);
            instances.push(id);
        }
        Ok((reservation, instances))
    }

    /// The interfaces of each instance of a launch, lowest device index first.
    fn plan_interfaces(&self, launch: &Launch) -> Result<Vec<Vec<Planned>>, Fault> {
        let mut asked: Vec<_> = launch.interfaces.iter().collect();
        asked.sort_by_key(|interface| interface.device_index);
        if asked.windows(2).any(|pair| pair[0].device_index == pair[1].device_index) {
            return Err(InvalidValue::DeviceIndexRepeated.into());
        }
        if asked.first().is_none_or(|first| first.device_index != 0) {
            return Err(InvalidValue::NoPrimaryInterface.into());
        }
        self.allow_interfaces(&launch.instance_type, asked.len())?;
        let (count, new) =
            (launch.count as usize, asked.iter().filter(|interface| interface.is_new()).count());
        self.quotas
            .allow(Quota::Interfaces, self.interfaces.len().saturating_add(count.saturating_mul(new)))?;
        if count > 1 && asked.iter().any(|interface| interface.is_unique()) {
            return Err(Fault::OneForSeveral);
        }
        self.one_place(&asked)?;
        let associate_public_ip = self.associates_public_ip(launch)?;

        let mut pool = AddressPool::of(self);
        let mut instances = Vec::new();
        for _ in 0..count {
            let interfaces =
                asked.iter().map(|interface| self.plan(interface, associate_public_ip, &mut pool));
            instances.push(interfaces.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(instances)
    }

    /// Whether each instance of a launch waits for a public address once it is launched.
    ///
    /// # Errors
    /// [`Fault::PublicIpForSeveral`], and [`Fault::SubnetNotFound`].
    pub fn associates_public_ip(&self, launch: &Launch) -> Result<bool, Fault> {
        match launch.interfaces.as_slice() {
            [LaunchInterface { source: InterfaceSource::New { interface, associate_public_ip }, .. }] => {
                let subnet = self.subnet(interface.subnet)?;
                Ok(associate_public_ip.unwrap_or(subnet.map_public_ip_on_launch))
            }
            several if several.iter().any(LaunchInterface::says_public_ip) => Err(Fault::PublicIpForSeveral),
            _ => Ok(false),
        }
    }

    fn plan(
        &self,
        asked: &LaunchInterface,
        associate_public_ip: bool,
        pool: &mut AddressPool<'_>,
    ) -> Result<Planned, Fault> {
        let source = match &asked.source {
            InterfaceSource::New { interface, .. } => {
                let interface = Box::new(self.plan_interface(interface.clone(), pool)?);
                PlannedSource::New { interface, associate_public_ip }
            }
            InterfaceSource::Existing(id) if self.interface(*id)?.is_in_use() => {
                return Err(Fault::InterfaceInUse(*id));
            }
            InterfaceSource::Existing(id) => PlannedSource::Existing(*id),
        };
        let LaunchInterface { device_index, delete_on_termination, .. } = *asked;
        Ok(Planned { device_index, delete_on_termination, source })
    }

    fn check_type(&self, planned: &Planned, instance_type: &str) -> Result<(), Fault> {
        match &planned.source {
            PlannedSource::New { interface, .. } => interface.check_type(instance_type),
            PlannedSource::Existing(id) => self.interface(*id)?.check_type(instance_type),
        }
    }

    /// How many private and IPv6 addresses it will have.
    fn counts_of(&self, planned: &Planned) -> (usize, usize) {
        match &planned.source {
            PlannedSource::New { interface, .. } => interface.counts(),
            PlannedSource::Existing(id) => self.interfaces.get(id).map_or((0, 0), counts),
        }
    }

    /// Whether all interfaces are in one VPC and one availability zone, and none is named twice.
    fn one_place(&self, asked: &[&LaunchInterface]) -> Result<(), Fault> {
        let mut home: Option<(VpcId, &str)> = None;
        for (at, interface) in asked.iter().enumerate() {
            let subnet = match &interface.source {
                InterfaceSource::New { interface, .. } => interface.subnet,
                InterfaceSource::Existing(id) => {
                    if asked[..at].iter().any(|other| other.source == interface.source) {
                        return Err(Fault::InterfaceInUse(*id));
                    }
                    self.interface(*id)?.subnet
                }
            };
            let subnet = self.subnet(subnet)?;
            let (vpc, zone) = *home.get_or_insert((subnet.vpc, &subnet.availability_zone));
            if vpc != subnet.vpc {
                return Err(Fault::NetworksApart);
            }
            if zone != subnet.availability_zone {
                return Err(Fault::ZonesApart);
            }
        }
        Ok(())
    }

    fn attach(&mut self, instance: InstanceId, planned: Planned, time: u64) -> InterfaceId {
        let Planned { device_index, delete_on_termination, source } = planned;
        let attachment = Attachment { id: self.draw(), instance, device_index, delete_on_termination, time };
        match source {
            PlannedSource::New { interface, associate_public_ip } => {
                let id = self.draw();
                self.insert_interface(id, *interface, Some(attachment), associate_public_ip);
                id
            }
            PlannedSource::Existing(id) => {
                if let Some(interface) = self.interfaces.get_mut(&id) {
                    interface.attachment = Some(attachment);
                }
                id
            }
        }
    }
}

impl From<NewInterface> for InterfaceSource {
    fn from(interface: NewInterface) -> Self {
        InterfaceSource::New { interface, associate_public_ip: None }
    }
}

impl LaunchInterface {
    fn is_new(&self) -> bool {
        matches!(self.source, InterfaceSource::New { .. })
    }

    fn says_public_ip(&self) -> bool {
        matches!(self.source, InterfaceSource::New { associate_public_ip: Some(_), .. })
    }

    /// Whether only one instance can have it.
    fn is_unique(&self) -> bool {
        match &self.source {
            InterfaceSource::Existing(_) => true,
            InterfaceSource::New { interface, .. } => interface.asks_for_addresses(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::fixture::{Network, cidr, tags};
    use crate::{Applied, Change, NetworkInterface, SecondaryAddresses, SecurityGroupId};

    fn made(launch: Launch, network: &mut Network) -> (Instance, NetworkInterface) {
        let instance = launched(network, launch).remove(0);
        let interface = network.region.interfaces()[&instance.interfaces[0]].clone();
        (instance, interface)
    }

    #[test]
    fn an_instance_has_an_interface() {
        let mut network = Network::new();
        let (first, interface) = made(network.launch(), &mut network);
        assert_eq!((first.state, first.name()), (InstanceState::Pending, Some("machine")));
        assert_eq!(interface.attachment.as_ref().unwrap().instance, first.id);
        assert_eq!(interface.private_ip, Ipv4Addr::new(10, 0, 1, 4));
        assert_eq!(interface.host_name(), "ip-10-0-1-4");
        assert_eq!(interface.groups, [network.region.vpcs()[&network.vpc].default_security_group]);
        assert_eq!((interface.subnet, interface.vpc), (network.subnet, network.vpc));

        let (_, second) = made(network.launch(), &mut network);
        assert_eq!(second.private_ip, Ipv4Addr::new(10, 0, 1, 5));
        assert_ne!(second.mac, interface.mac);
        let found = network.region.interface_by_address(network.vpc, second.private_ip);
        assert_eq!(found.unwrap().id, second.id);
    }

    #[test]
    fn addresses_are_given_as_asked() {
        let mut network = Network::new();
        let at = |network: &Network, last: [u8; 2]| {
            let private_ip = Some(Ipv4Addr::new(10, 0, last[0], last[1]));
            with(NewInterface { private_ip, source_dest_check: false, ..NewInterface::new(network.subnet) })
        };
        let (_, interface) = made(at(&network, [1, 4]), &mut network);
        assert!(!interface.source_dest_check);
        let fault = network.refused(Change::RunInstances(at(&network, [1, 4])));
        assert_eq!(
            (fault.code(), fault.to_string()),
            ("InvalidIPAddress.InUse", "Address 10.0.1.4 is in use.".into())
        );
        for last in [0, 1, 2, 3, 255] {
            let address = Ipv4Addr::new(10, 0, 1, last);
            assert_eq!(
                network.refused(Change::RunInstances(at(&network, [1, last]))),
                InvalidValue::AddressReserved(address.into()).into()
            );
        }
        let outside = network.refused(Change::RunInstances(at(&network, [2, 4])));
        assert_eq!(outside, InvalidValue::AddressOutsideSubnet(Ipv4Addr::new(10, 0, 2, 4).into()).into());
        let (_, next) = made(network.launch(), &mut network);
        assert_eq!(next.private_ip, Ipv4Addr::new(10, 0, 1, 5), "what was asked for is not free");
    }

    #[test]
    fn a_subnet_fills_up() {
        let mut network = Network::new();
        let small = Change::CreateSubnet {
            vpc: network.vpc,
            cidr: cidr("10.0.2.0/28"),
            availability_zone: None,
            tags: tags("x"),
        };
        let Applied::Subnet(subnet) = network.apply(small) else { panic!() };
        network.subnet = subnet;
        for _ in 0..11 {
            network.instance();
        }
        let another = Change::RunInstances(network.launch());
        assert_eq!(network.refused(another), Fault::InsufficientFreeAddresses(subnet));
    }

    #[test]
    fn what_a_launch_may_not_ask_for() {
        let mut network = Network::new();
        let (own, stranger) = (network.security_group("web"), network.other_group());
        let subnet = network.subnet;
        let with = |groups: &[SecurityGroupId], data: usize, hop_limit| {
            Change::RunInstances(Launch {
                user_data: Some(vec![b'#'; data]),
                metadata: MetadataOptions { hop_limit, tokens_required: false },
                ..with(NewInterface { groups: groups.to_vec(), ..NewInterface::new(subnet) })
            })
        };
        let refused = [
            (with(&[stranger], 0, 1), "InvalidParameter"),
            (with(&[own, own], 0, 1), "InvalidParameterValue"),
            (with(&["sg-00000000".parse().unwrap()], 0, 1), "InvalidGroup.NotFound"),
            (with(&[own], 16385, 1), "InvalidParameterValue"),
            (with(&[own], 0, 0), "InvalidParameterValue"),
            (with(&[own], 0, 65), "InvalidParameterValue"),
        ];
        let fine = with(&[own], 16384, 64);
        for (change, code) in refused {
            assert_eq!(network.refused(change).code(), code);
        }
        network.apply(fine);
    }

    fn launched(network: &mut Network, launch: Launch) -> Vec<Instance> {
        let Applied::Instances { reservation, instances } = network.apply(Change::RunInstances(launch))
        else {
            panic!()
        };
        let instances: Vec<_> = instances.iter().map(|id| network.region.instances()[id].clone()).collect();
        assert!(instances.iter().all(|instance| instance.reservation == reservation));
        instances
    }

    fn with(interface: NewInterface) -> Launch {
        Launch::new("ami-00000000".parse().unwrap(), "t3.micro".to_owned(), interface)
    }

    #[test]
    fn several_at_once() {
        let mut network = Network::new();
        let three = Launch { count: 3, time: 9, ..network.launch() };
        let three = launched(&mut network, three);
        let facts: Vec<_> =
            three.iter().map(|one| (one.launch_index, one.launch_time, one.state_time)).collect();
        assert_eq!(facts, [(0, 9, 9), (1, 9, 9), (2, 9, 9)]);
        let addresses =
            three.iter().map(|one| network.region.interfaces()[&one.interfaces[0]].private_ip.octets()[3]);
        assert_eq!(addresses.collect::<Vec<_>>(), [4, 5, 6]);

        let private_ip = Some(Ipv4Addr::new(10, 0, 1, 9));
        let pinned = with(NewInterface { private_ip, ..NewInterface::new(network.subnet) });
        let fault = network.refused(Change::RunInstances(Launch { count: 2, ..pinned }));
        assert_eq!(fault.code(), "InvalidParameterCombination");
        let none = network.refused(Change::RunInstances(Launch { count: 0, ..network.launch() }));
        assert_eq!(none.code(), "InvalidParameterValue");
        let most = network.refused(Change::RunInstances(Launch { count: u32::MAX, ..network.launch() }));
        assert_eq!(most.code(), "NetworkInterfaceLimitExceeded");
        let many = network.refused(Change::RunInstances(Launch { count: 249, ..network.launch() }));
        assert_eq!(many, Fault::InsufficientFreeAddresses(network.subnet));
        let rest = Launch { count: 248, ..network.launch() };
        launched(&mut network, rest);
    }

    #[test]
    fn interfaces_in_any_order() {
        let mut network = Network::new();
        let existing = network.interface(&[]);
        let mut two = network.launch();
        two.interfaces.insert(
            0,
            LaunchInterface {
                device_index: 1,
                delete_on_termination: false,
                source: InterfaceSource::Existing(existing),
            },
        );
        let InterfaceSource::New { interface: new, .. } = &mut two.interfaces[1].source else { panic!() };
        new.secondary = SecondaryAddresses::Count(1);
        let one = launched(&mut network, two.clone()).remove(0);
        assert_eq!(one.interfaces[1], existing);
        let primary = &network.region.interfaces()[&one.interfaces[0]];
        assert_eq!((primary.addresses().count(), &primary.vpc), (2, &network.vpc));
        let attachment = network.region.interfaces()[&existing].attachment.clone().unwrap();
        assert_eq!((attachment.instance, attachment.device_index), (one.id, 1));
        assert!(!attachment.delete_on_termination);

        assert_eq!(network.refused(Change::RunInstances(two)).code(), "InvalidNetworkInterface.InUse");
        let free = network.interface(&[]);
        let with = |indexes: &[u32], source: InterfaceSource| {
            let interfaces = indexes.iter().map(|&device_index| LaunchInterface {
                device_index,
                delete_on_termination: true,
                source: source.clone(),
            });
            Change::RunInstances(Launch { interfaces: interfaces.collect(), ..network.launch() })
        };
        let plain = InterfaceSource::from(NewInterface::new(network.subnet));
        let refused = [
            (with(&[], plain.clone()), "InvalidParameterValue"),
            (with(&[1], plain.clone()), "InvalidParameterValue"),
            (with(&[0, 1, 1], plain.clone()), "InvalidParameterValue"),
            (with(&[0, 1], InterfaceSource::Existing(free)), "InvalidNetworkInterface.InUse"),
            (with(&(0..16).collect::<Vec<_>>(), plain), "AttachmentLimitExceeded"),
        ];
        for (change, code) in refused {
            assert_eq!(network.refused(change).code(), code);
        }
    }

    #[test]
    fn an_instance_keeps_the_key_it_was_launched_with() {
        let mut network = Network::new();
        let keyed = Launch { key_name: Some("me".to_owned()), ..network.launch() };
        let early = network.refused(Change::RunInstances(keyed.clone()));
        assert_eq!(
            (early.code(), early.to_string()),
            ("InvalidKeyPair.NotFound", "The key pair 'me' does not exist".into())
        );
        let import = Change::ImportKeyPair {
            name: "me".to_owned(),
            public_key: "ssh-ed25519 AAAA me".to_owned(),
            fingerprint: String::new(),
            time: 0,
            tags: tags("key"),
        };
        let Applied::KeyPair(key_pair) = network.apply(import) else { panic!() };
        let id = launched(&mut network, keyed).remove(0).id;
        network.apply(Change::DeleteKeyPair { key_pair });
        assert_eq!(network.region.instances()[&id].public_key.as_deref(), Some("ssh-ed25519 AAAA me"));
    }
}
