//! DHCP option sets, and which VPC has which.

use std::str::FromStr;

use model::{Applied, Change, DhcpConfiguration, VpcId};

use super::resources::Properties;
use super::{Maker, PhysicalId};
use crate::error::LabError;
use crate::yaml::{Fields, Node};

impl Maker<'_> {
    pub(super) fn dhcp_options(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let (fields, place) = (&properties.fields, &properties.resource.place);
        let domain_name = fields.optional("DomainName");
        let lease_time = fields.optional("Ipv6AddressPreferredLeaseTime");
        let configuration = DhcpConfiguration {
            domain_name: domain_name.map(|name| name.text("`DomainName`").map(str::to_owned)).transpose()?,
            domain_name_servers: all(fields, "DomainNameServers", "an address or AmazonProvidedDNS")?,
            ntp_servers: all(fields, "NtpServers", "an address")?,
            netbios_name_servers: all(fields, "NetbiosNameServers", "an IPv4 address")?,
            netbios_node_type: only(fields.optional("NetbiosNodeType"), "1, 2, 4 or 8")?,
            ipv6_address_preferred_lease_time: only(lease_time, "a number of seconds")?,
        };
        let change = Change::CreateDhcpOptions { configuration, tags: properties.tags()? };
        let Applied::DhcpOptions(options) = self.apply(properties, place, change)? else {
            unreachable!("CreateDhcpOptions gives an option set")
        };
        Ok(PhysicalId::DhcpOptions(options))
    }

    /// Also where the VPC has another one.
    pub(super) fn dhcp_options_association(
        &mut self,
        properties: &Properties<'_>,
    ) -> Result<PhysicalId, LabError> {
        let vpc: VpcId = properties.fields.required("VpcId")?.value("the id of a VPC")?;
        let node = properties.fields.required("DhcpOptionsId")?;
        let options = match node.text("`DhcpOptionsId`")? {
            "default" => None,
            _ => Some(node.value("the id of a DHCP option set, or default")?),
        };
        self.apply(properties, &node.place, Change::AssociateDhcpOptions { options, vpc })?;
        Ok(PhysicalId::DhcpOptionsAssociation { options, vpc })
    }
}

fn all<T: FromStr>(fields: &Fields<'_>, key: &'static str, what: &'static str) -> Result<Vec<T>, LabError> {
    fields.items(key)?.iter().map(|node| node.value(what)).collect()
}

fn only<T: FromStr>(node: Option<&Node>, what: &'static str) -> Result<Option<T>, LabError> {
    node.map(|node| node.value(what)).transpose()
}
