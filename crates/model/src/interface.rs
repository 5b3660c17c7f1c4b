//! Network interfaces.

use std::iter;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::{AttachmentId, InstanceId, InterfaceId, SecurityGroupId, SubnetId, VpcId};
use crate::mac::MacAddress;
use crate::region::Region;
use crate::subnet::Subnet;

/// An elastic network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInterface {
    /// Its id.
    pub id: InterfaceId,
    /// Where it is.
    pub subnet: SubnetId,
    /// The VPC of its subnet.
    pub vpc: VpcId,
    /// Made from the id.
    pub mac: MacAddress,
    /// Its primary address.
    pub private_ip: Ipv4Addr,
    /// Its security groups in the order they were given; at least one.
    pub groups: Vec<SecurityGroupId>,
    /// Whether it is confined to its own addresses: as source of what it sends, as destination of what it receives.
    pub source_dest_check: bool,
    /// The instance it is attached to.
    pub attachment: Option<Attachment>,
}

/// What ties an interface to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// The instance.
    pub instance: InstanceId,
    /// Which of the instance's interfaces it is; 0 is the primary.
    pub device_index: u32,
}

impl NetworkInterface {
    /// All its private addresses, the primary first.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        iter::once(self.private_ip)
    }

    /// The host name that EC2 gives to whoever has its primary address: "ip-10-0-0-4".
    pub fn host_name(&self) -> String {
        host_name(self.private_ip)
    }
}

pub(crate) fn host_name(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("ip-{a}-{b}-{c}-{d}")
}

impl Region {
    /// The interface that has a private address in a VPC.
    pub fn interface_by_address(&self, vpc: VpcId, address: Ipv4Addr) -> Option<&NetworkInterface> {
        let mut inside = self.interfaces.values().filter(|interface| interface.vpc == vpc);
        inside.find(|interface| interface.addresses().any(|own| own == address))
    }

    pub(crate) fn interface(&self, id: InterfaceId) -> Result<&NetworkInterface, Fault> {
        self.interfaces.get(&id).ok_or(Fault::InterfaceNotFound(id))
    }

    /// The groups of a new interface: as asked, or the default group.
    pub(crate) fn groups_in(
        &self,
        subnet: &Subnet,
        asked: Vec<SecurityGroupId>,
    ) -> Result<Vec<SecurityGroupId>, Fault> {
        if asked.is_empty() {
            return Ok(vec![self.vpc(subnet.vpc)?.default_security_group]);
        }
        for (at, &group) in asked.iter().enumerate() {
            if self.security_group(group)?.vpc != subnet.vpc {
                return Err(Fault::GroupAndSubnetApart { group, subnet: subnet.id });
            }
            if asked[..at].contains(&group) {
                return Err(InvalidValue::GroupRepeated(group).into());
            }
        }
        Ok(asked)
    }
}
