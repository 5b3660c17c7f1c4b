//! Which addresses the interfaces of which machines can have.

use std::net::Ipv6Addr;

use ipnet::IpNet;

use crate::fault::Fault;
use crate::id::InstanceId;
use crate::interface::NetworkInterface;
use crate::region::Region;

/// Families of instance types that know IPv4 only (EC2 User Guide, "IPv6 addresses": of the previous generation only C3,
/// R3 and I2 know both).
const WITHOUT_IPV6: [&str; 12] =
    ["t1", "m1", "m2", "m3", "c1", "cc1", "cc2", "cg1", "cr1", "g2", "hi1", "hs1"];

/// Families of instance types that are not built on the Nitro System, which alone knows prefixes (EC2 User Guide,
/// "Prefix delegation for Amazon EC2 network interfaces").
const WITHOUT_PREFIXES: [&str; 29] = [
    "c1", "c3", "c4", "cc1", "cc2", "cg1", "cr1", "d2", "f1", "g2", "g3", "g3s", "h1", "hi1", "hs1", "i2",
    "i3", "m1", "m2", "m3", "m4", "p2", "p3", "r3", "r4", "t1", "t2", "x1", "x1e",
];

/// Whether instances of a type, such as "t3.micro", can have IPv6 addresses.
pub fn knows_ipv6(instance_type: &str) -> bool {
    let family = instance_type.split('.').next().unwrap_or_default();
    !WITHOUT_IPV6.contains(&family)
}

/// Whether instances of a type, such as "t3.micro", can have prefixes.
fn knows_prefixes(instance_type: &str) -> bool {
    let (family, size) = instance_type.split_once('.').unwrap_or((instance_type, ""));
    // The bare-metal ones of these families are built on Nitro.
    !WITHOUT_PREFIXES.contains(&family) || size.starts_with("metal")
}

/// Whether an interface with these addresses and prefixes can be an instance's of a type.
pub(super) fn check(instance_type: &str, addresses: &[Ipv6Addr], prefixes: &[IpNet]) -> Result<(), Fault> {
    let v6 = !addresses.is_empty() || prefixes.iter().any(|prefix| matches!(prefix, IpNet::V6(_)));
    if v6 && !knows_ipv6(instance_type) {
        return Err(Fault::Ipv6NotSupported(instance_type.to_owned()));
    }
    if !prefixes.is_empty() && !knows_prefixes(instance_type) {
        return Err(Fault::PrefixesNotSupported(instance_type.to_owned()));
    }
    Ok(())
}

impl NetworkInterface {
    /// Whether it can be an interface of an instance of a type, with the addresses that it has.
    pub(crate) fn check_type(&self, instance_type: &str) -> Result<(), Fault> {
        check(instance_type, &self.ipv6_addresses, &self.prefixes)
    }
}

impl Region {
    /// Whether an instance can be of a type, with the addresses that its interfaces have.
    pub(crate) fn check_type_fits(&self, instance: InstanceId, instance_type: &str) -> Result<(), Fault> {
        let own = &self.instance(instance)?.interfaces;
        let mut interfaces = own.iter().filter_map(|id| self.interfaces.get(id));
        interfaces.try_for_each(|interface| interface.check_type(instance_type))
    }

    /// Whether an interface can have more addresses and prefixes, on the instance that it is attached to.
    pub(super) fn check_more(
        &self,
        interface: &NetworkInterface,
        addresses: &[Ipv6Addr],
        prefixes: &[IpNet],
    ) -> Result<(), Fault> {
        match &interface.attachment {
            None => Ok(()),
            Some(attachment) => {
                check(&self.instance(attachment.instance)?.instance_type, addresses, prefixes)
            }
        }
    }
}
