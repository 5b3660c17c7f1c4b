//! DHCP option sets: what DHCP tells the machines of a VPC besides their addresses (VPC User Guide, "DHCP option sets").

use std::fmt;
use std::net::{AddrParseError, IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::fault::{Dependency, Fault, InvalidValue};
use crate::id::{DhcpOptionsId, VpcId};
use crate::quota::Quota;
use crate::region::Region;
use crate::tag::{self, Tags};

/// A DHCP option set. It stays as it is; a VPC can be given another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpOptions {
    /// Its id.
    pub id: DhcpOptionsId,
    /// Whether new VPCs get it. It came with the region's first VPC.
    pub is_default: bool,
    /// What it says.
    pub configuration: DhcpConfiguration,
    /// Its tags.
    pub tags: Tags,
}

/// What a DHCP option set says. What is empty is not told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpConfiguration {
    /// One or more domains, separated by spaces, in which short names are looked up.
    pub domain_name: Option<String>,
    /// At most four.
    pub domain_name_servers: Vec<NameServer>,
    /// At most four.
    pub ntp_servers: Vec<IpAddr>,
    /// At most four.
    pub netbios_name_servers: Vec<Ipv4Addr>,
    /// 1, 2, 4 or 8 (RFC 2132 section 8.7).
    pub netbios_node_type: Option<u8>,
    /// For how many seconds an IPv6 address is preferred, 140 or more. A client asks again after half of them.
    pub ipv6_address_preferred_lease_time: Option<u32>,
}

/// Who resolves names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NameServer {
    /// The VPC's own resolver, which EC2 calls AmazonProvidedDNS.
    Amazon,
    /// Another one.
    Address(IpAddr),
}

/// How EC2 calls the VPC's own resolver.
const AMAZON: &str = "AmazonProvidedDNS";
/// Servers of a kind.
const MOST: usize = 4;
/// With it an answer still fits in the 576 octets that each client can take (RFC 2131 section 2).
const LONGEST_DOMAIN_NAME: usize = 190;
const SHORTEST_LEASE: u32 = 140;
const LONGEST_LEASE: u32 = 2_147_483_647;

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameServer::Amazon => f.write_str(AMAZON),
            NameServer::Address(address) => address.fmt(f),
        }
    }
}

impl FromStr for NameServer {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<NameServer, AddrParseError> {
        if text == AMAZON { Ok(NameServer::Amazon) } else { text.parse().map(NameServer::Address) }
    }
}

impl DhcpConfiguration {
    fn check(&self) -> Result<(), InvalidValue> {
        let counts = [
            ("domain-name-servers", self.domain_name_servers.len()),
            ("ntp-servers", self.ntp_servers.len()),
            ("netbios-name-servers", self.netbios_name_servers.len()),
        ];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count > MOST) {
            return Err(InvalidValue::DhcpServers(key));
        }
        let wrong = |key, value: String| Err(InvalidValue::DhcpOption { key, value });
        match &self.domain_name {
            Some(name) if !is_domain_name(name) => return wrong("domain-name", name.clone()),
            _ => {}
        }
        match self.netbios_node_type {
            None | Some(1 | 2 | 4 | 8) => {}
            Some(other) => return wrong("netbios-node-type", other.to_string()),
        }
        match self.ipv6_address_preferred_lease_time {
            None | Some(SHORTEST_LEASE..=LONGEST_LEASE) => Ok(()),
            Some(other) => wrong("ipv6-address-preferred-lease-time", other.to_string()),
        }
    }
}

impl Region {
    /// What DHCP says in a VPC of this region: none if the VPC was given no option set.
    pub fn dhcp_configuration_of(&self, vpc: VpcId) -> Option<&DhcpConfiguration> {
        let options = self.vpcs.get(&vpc)?.dhcp_options?;
        self.dhcp_options.get(&options).map(|options| &options.configuration)
    }

    pub(crate) fn create_dhcp_options(
        &mut self,
        configuration: DhcpConfiguration,
        tags: Tags,
    ) -> Result<DhcpOptionsId, Fault> {
        configuration.check()?;
        tag::check(&tags)?;
        let own = self.dhcp_options.values().filter(|options| !options.is_default).count();
        self.quotas.allow(Quota::DhcpOptions, own + 1)?;

        Ok(self.insert_dhcp_options(configuration, tags, false))
    }

    pub(crate) fn associate_dhcp_options(
        &mut self,
        options: Option<DhcpOptionsId>,
        vpc: VpcId,
    ) -> Result<(), Fault> {
        self.vpc(vpc)?;
        if let Some(id) = options
            && !self.dhcp_options.contains_key(&id)
        {
            return Err(Fault::DhcpOptionsNotFound(id));
        }

        if let Some(vpc) = self.vpcs.get_mut(&vpc) {
            vpc.dhcp_options = options;
        }
        Ok(())
    }

    pub(crate) fn delete_dhcp_options(&mut self, id: DhcpOptionsId) -> Result<(), Fault> {
        if !self.dhcp_options.contains_key(&id) {
            return Err(Fault::DhcpOptionsNotFound(id));
        }
        if self.vpcs.values().any(|vpc| vpc.dhcp_options == Some(id)) {
            return Err(Dependency::DhcpOptions(id).into());
        }

        self.dhcp_options.remove(&id);
        Ok(())
    }

    /// The option set of new VPCs.
    pub(crate) fn default_dhcp_options(&mut self) -> DhcpOptionsId {
        if let Some(options) = self.dhcp_options.values().find(|options| options.is_default) {
            return options.id;
        }
        let configuration = DhcpConfiguration {
            domain_name: Some(self.key.region.domain()),
            domain_name_servers: vec![NameServer::Amazon],
            ..DhcpConfiguration::default()
        };
        self.insert_dhcp_options(configuration, Tags::new(), true)
    }

    /// Gives VPCs of a state from before there were option sets the one that they would have come with.
    pub(crate) fn complete_dhcp_options(&mut self) {
        let without = |id: Option<DhcpOptionsId>| id.is_some_and(|id| !self.dhcp_options.contains_key(&id));
        let older = self.vpcs.values().filter(|vpc| without(vpc.dhcp_options));
        for id in older.map(|vpc| vpc.id).collect::<Vec<_>>() {
            let options = self.default_dhcp_options();
            if let Some(vpc) = self.vpcs.get_mut(&id) {
                vpc.dhcp_options = Some(options);
            }
        }
    }

    fn insert_dhcp_options(
        &mut self,
        configuration: DhcpConfiguration,
        tags: Tags,
        is_default: bool,
    ) -> DhcpOptionsId {
        let id = self.draw();
        self.dhcp_options.insert(id, DhcpOptions { id, is_default, configuration, tags });
        id
    }
}

/// Letters, digits, hyphens, underscores and dots, and spaces between several.
fn is_domain_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    (1..=LONGEST_DOMAIN_NAME).contains(&text.len()) && text.chars().all(is_part) && text.trim() == text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, tags};
    use crate::{Applied, Change};

    fn create(configuration: DhcpConfiguration) -> Change {
        Change::CreateDhcpOptions { configuration, tags: tags("dopt") }
    }

    fn created(network: &mut Network, configuration: DhcpConfiguration) -> DhcpOptionsId {
        match network.apply(create(configuration)) {
            Applied::DhcpOptions(id) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn vpcs_come_with_the_default_and_can_have_another_or_none() {
        let mut network = Network::new();
        let (vpc, other) = (network.vpc, network.other);
        let default = network.region.vpcs()[&vpc].dhcp_options.unwrap();
        assert_eq!(network.region.vpcs()[&other].dhcp_options, Some(default));
        let said = network.region.dhcp_configuration_of(vpc).unwrap();
        assert_eq!(said.domain_name.as_deref(), Some("eu-west-1.compute.internal"));
        assert_eq!(said.domain_name_servers, [NameServer::Amazon]);

        let domain_name = Some("corp.example lab.example".to_owned());
        let own = DhcpConfiguration { domain_name, ..DhcpConfiguration::default() };
        let options = created(&mut network, own.clone());
        network.apply(Change::AssociateDhcpOptions { options: Some(options), vpc });
        assert_eq!(network.region.dhcp_configuration_of(vpc), Some(&own));
        let delete = Change::DeleteDhcpOptions { options };
        let fault = network.refused(delete.clone());
        assert_eq!((fault.code(), fault), ("DependencyViolation", Dependency::DhcpOptions(options).into()));

        network.apply(Change::AssociateDhcpOptions { options: None, vpc });
        assert_eq!(network.region.dhcp_configuration_of(vpc), None);
        network.apply(delete.clone());
        assert_eq!(network.refused(delete).code(), "InvalidDhcpOptionID.NotFound");
        let gone = Change::AssociateDhcpOptions { options: Some(options), vpc };
        assert_eq!(network.refused(gone), Fault::DhcpOptionsNotFound(options));
        assert!(network.region.dhcp_options()[&default].is_default);
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        let mut network = Network::new();
        let none = DhcpConfiguration::default;
        let name = |text: &str| DhcpConfiguration { domain_name: Some(text.to_owned()), ..none() };
        for wrong in [
            name(""),
            name("corp.example\n"),
            name(" corp.example"),
            name(&"x".repeat(191)),
            DhcpConfiguration { domain_name_servers: vec![NameServer::Amazon; 5], ..none() },
            DhcpConfiguration { ntp_servers: vec![Ipv4Addr::LOCALHOST.into(); 5], ..none() },
            DhcpConfiguration { netbios_name_servers: vec![Ipv4Addr::LOCALHOST; 5], ..none() },
            DhcpConfiguration { netbios_node_type: Some(3), ..none() },
            DhcpConfiguration { ipv6_address_preferred_lease_time: Some(139), ..none() },
            DhcpConfiguration { ipv6_address_preferred_lease_time: Some(1 << 31), ..none() },
        ] {
            assert_eq!(network.refused(create(wrong.clone())).code(), "InvalidParameterValue", "{wrong:?}");
        }
        for _ in 0..100 {
            created(&mut network, name("corp.example"));
        }
        assert_eq!(network.refused(create(none())).code(), "DhcpOptionsLimitExceeded");
    }

    #[test]
    fn an_older_state_gets_the_default() {
        let mut network = Network::new();
        network.apply(Change::AssociateDhcpOptions { options: None, vpc: network.other });
        let mut old = serde_json::to_value(&network.region).unwrap();
        assert!(old.as_object_mut().unwrap().remove("dhcp_options").is_some());
        let vpc = &mut old["vpcs"][network.vpc.to_string()];
        assert!(vpc.as_object_mut().unwrap().remove("dhcp_options").is_some());
        let region: Region = serde_json::from_value(old).unwrap();
        assert!(region.dhcp_configuration_of(network.vpc).is_some());
        assert_eq!(region.dhcp_configuration_of(network.other), None, "it was given none");
    }
}
