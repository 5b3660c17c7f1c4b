//! Instances.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::{ImageId, InstanceId, InterfaceId, ReservationId, SecurityGroupId, SubnetId};
use crate::interface::{Attachment, NetworkInterface};
use crate::mac::MacAddress;
use crate::region::Region;
use crate::tag::{self, Tags};

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// The launch that made it.
    pub reservation: ReservationId,
    /// Which of the launch's instances it is.
    pub launch_index: u32,
    /// What it runs.
    pub image: ImageId,
    /// Such as "t3.micro".
    pub instance_type: String,
    /// What its machine does.
    pub state: InstanceState,
    /// Its interfaces by device index: the first is the primary.
    pub interfaces: Vec<InterfaceId>,
    /// What its first boot is to run or read.
    pub user_data: Option<Vec<u8>>,
    /// How the metadata service answers it.
    pub metadata: MetadataOptions,
    /// Its tags.
    pub tags: Tags,
}

/// What an instance's machine does (EC2 User Guide, "Instance lifecycle").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceState {
    /// It is being started.
    Pending,
    /// It runs.
    Running,
    /// It is being stopped.
    Stopping,
    /// It does not run, and can be started.
    Stopped,
}

/// How the metadata service answers an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataOptions {
    /// How many hops an answer with a token may travel: 1 to 64.
    pub hop_limit: u8,
    /// Whether requests must show a token.
    pub tokens_required: bool,
}

/// All that a launch needs to know.
pub(crate) struct Launch {
    pub(crate) image: ImageId,
    pub(crate) instance_type: String,
    pub(crate) subnet: SubnetId,
    pub(crate) private_ip: Option<Ipv4Addr>,
    pub(crate) groups: Vec<SecurityGroupId>,
    pub(crate) source_dest_check: bool,
    pub(crate) user_data: Option<Vec<u8>>,
    pub(crate) metadata: MetadataOptions,
    pub(crate) tags: Tags,
}

/// Most bytes of user data (EC2 User Guide, "Run commands on your Linux instance at launch").
const MOST_USER_DATA: usize = 16 * 1024;

impl Instance {
    /// Its Name tag.
    pub fn name(&self) -> Option<&str> {
        tag::name(&self.tags)
    }
}

impl Default for MetadataOptions {
    fn default() -> Self {
        MetadataOptions { hop_limit: 1, tokens_required: false }
    }
}

impl Region {
    pub(crate) fn instance(&self, id: InstanceId) -> Result<&Instance, Fault> {
        self.instances.get(&id).ok_or(Fault::InstanceNotFound(id))
    }

    pub(crate) fn run_instance(&mut self, launch: Launch) -> Result<InstanceId, Fault> {
        let subnet = self.subnet(launch.subnet)?;
        let vpc = subnet.vpc;
        let groups = self.groups_in(subnet, launch.groups)?;
        let private_ip = self.free_address(subnet, launch.private_ip)?;
        if launch.user_data.as_ref().is_some_and(|data| data.len() > MOST_USER_DATA) {
            return Err(InvalidValue::UserDataTooLarge.into());
        }
        if !(1..=64).contains(&launch.metadata.hop_limit) {
            return Err(InvalidValue::HopLimit(launch.metadata.hop_limit).into());
        }
        tag::check(&launch.tags)?;

        let id = self.draw();
        let interface = self.draw();
        let attachment = Attachment { id: self.draw(), instance: id, device_index: 0 };
        self.interfaces.insert(
            interface,
            NetworkInterface {
                id: interface,
                subnet: launch.subnet,
                vpc,
                mac: MacAddress::of(interface),
                private_ip,
                groups,
                source_dest_check: launch.source_dest_check,
                attachment: Some(attachment),
            },
        );
        let instance = Instance {
            id,
            reservation: self.draw(),
            launch_index: 0,
            image: launch.image,
            instance_type: launch.instance_type,
            state: InstanceState::Pending,
            interfaces: vec![interface],
            user_data: launch.user_data,
            metadata: launch.metadata,
            tags: launch.tags,
        };
        self.instances.insert(id, instance);
        Ok(id)
    }

    pub(crate) fn set_instance_state(&mut self, id: InstanceId, state: InstanceState) -> Result<(), Fault> {
        let instance = self.instances.get_mut(&id).ok_or(Fault::InstanceNotFound(id))?;
        if !instance.state.leads_to(state) {
            return Err(Fault::IncorrectInstanceState { instance: id, wanted: state });
        }

        instance.state = state;
        Ok(())
    }
}

impl InstanceState {
    /// Whether the one can follow the other. A machine can fail, and so stop, at any time.
    fn leads_to(self, next: InstanceState) -> bool {
        use InstanceState::{Pending, Running, Stopped, Stopping};
        match self {
            Pending => true,
            Running => matches!(next, Running | Stopping | Stopped),
            Stopping => matches!(next, Stopping | Stopped),
            Stopped => matches!(next, Stopped | Pending),
        }
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            InstanceState::Pending => "pending",
            InstanceState::Running => "running",
            InstanceState::Stopping => "stopping",
            InstanceState::Stopped => "stopped",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr, tags};
    use crate::{Applied, Change};

    fn made(change: Change, network: &mut Network) -> (Instance, NetworkInterface) {
        let Applied::Instance(id) = network.apply(change) else { panic!() };
        let instance = network.region.instances()[&id].clone();
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
        let at = |network: &Network, last: [u8; 2]| match network.launch() {
            Change::RunInstance { image, instance_type, subnet, groups, metadata, tags, .. } => {
                let private_ip = Some(Ipv4Addr::new(10, 0, last[0], last[1]));
                let (source_dest_check, user_data) = (false, None);
                Change::RunInstance {
                    image,
                    instance_type,
                    subnet,
                    private_ip,
                    groups,
                    source_dest_check,
                    user_data,
                    metadata,
                    tags,
                }
            }
            other => other,
        };
        let (_, interface) = made(at(&network, [1, 4]), &mut network);
        assert!(!interface.source_dest_check);
        let fault = network.refused(at(&network, [1, 4]));
        assert_eq!(
            (fault.code(), fault.to_string()),
            ("InvalidIPAddress.InUse", "Address 10.0.1.4 is in use.".into())
        );
        for last in [0, 1, 2, 3, 255] {
            let address = Ipv4Addr::new(10, 0, 1, last);
            assert_eq!(
                network.refused(at(&network, [1, last])),
                InvalidValue::AddressReserved(address).into()
            );
        }
        let outside = network.refused(at(&network, [2, 4]));
        assert_eq!(outside, InvalidValue::AddressOutsideSubnet(Ipv4Addr::new(10, 0, 2, 4)).into());
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
        assert_eq!(network.refused(network.launch()), Fault::InsufficientFreeAddresses(subnet));
    }

    #[test]
    fn what_a_launch_may_not_ask_for() {
        let mut network = Network::new();
        let (own, stranger) = (network.security_group("web"), network.other_group());
        let with = |groups: &[SecurityGroupId], data: usize, hop_limit| Change::RunInstance {
            image: "ami-00000000".parse().unwrap(),
            instance_type: "t3.micro".to_owned(),
            subnet: network.subnet,
            private_ip: None,
            groups: groups.to_vec(),
            source_dest_check: true,
            user_data: Some(vec![b'#'; data]),
            metadata: MetadataOptions { hop_limit, tokens_required: false },
            tags: tags("x"),
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

    #[test]
    fn states_follow_each_other() {
        let mut network = Network::new();
        let (instance, _) = network.instance();
        let to = |state| Change::SetInstanceState { instance, state };
        network.apply(to(InstanceState::Running));
        let fault = network.refused(to(InstanceState::Pending));
        assert_eq!(fault.code(), "IncorrectInstanceState");
        network.apply(to(InstanceState::Running));
        network.apply(to(InstanceState::Stopping));
        network.refused(to(InstanceState::Running));
        network.apply(to(InstanceState::Stopped));
        network.apply(to(InstanceState::Pending));
        assert_eq!(network.region.instances()[&instance].state.to_string(), "pending");
        let nobody = "i-00000000".parse().unwrap();
        let fault =
            network.refused(Change::SetInstanceState { instance: nobody, state: InstanceState::Running });
        assert_eq!(fault.code(), "InvalidInstanceID.NotFound");
    }
}
