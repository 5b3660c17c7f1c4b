//! Quotas by their names: what an owner may ask for.

use thiserror::Error;

use super::Quotas;

/// Why a quota cannot be what is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadQuota {
    /// There is none of this name.
    #[error("there is no quota `{0}` (known: {known})", known = known())]
    Unknown(String),
    /// EC2 gives nobody so much.
    #[error("`{name}` can be {most} at most")]
    TooMany {
        /// Its name.
        name: &'static str,
        /// The most that it can be.
        most: usize,
    },
    /// An interface could have more rules than EC2 allows.
    #[error("`rules_per_group` times `groups_per_interface` can be {RULES_PER_INTERFACE} at most, not {0}")]
    RulesPerInterface(usize),
}

struct Named {
    name: &'static str,
    /// What no quota is raised beyond.
    most: usize,
    of: fn(&mut Quotas) -> &mut usize,
}

/// Rules of all groups of an interface, each way.
const RULES_PER_INTERFACE: usize = 1000;
const ANY: usize = u32::MAX as usize;

const fn named(name: &'static str, most: usize, of: fn(&mut Quotas) -> &mut usize) -> Named {
    Named { name, most, of }
}

/// The quotas that can be changed, with the most that AWS gives where it tells (VPC User Guide, "Amazon VPC quotas").
const NAMED: [Named; 23] = [
    named("active_peerings_per_vpc", 125, |quotas| &mut quotas.active_peerings_per_vpc),
    named("addresses", ANY, |quotas| &mut quotas.addresses),
    named("addresses_per_nat_gateway", 8, |quotas| &mut quotas.addresses_per_nat_gateway),
    named("cidrs_per_vpc", 50, |quotas| &mut quotas.cidrs_per_vpc),
    named("dhcp_options", ANY, |quotas| &mut quotas.dhcp_options),
    named("egress_only_internet_gateways", ANY, |quotas| &mut quotas.egress_only_internet_gateways),
    named("entries_per_prefix_list", 1000, |quotas| &mut quotas.entries_per_prefix_list),
    named("groups_per_interface", 16, |quotas| &mut quotas.groups_per_interface),
    named("interfaces", ANY, |quotas| &mut quotas.interfaces),
    named("internet_gateways", ANY, |quotas| &mut quotas.internet_gateways),
    named("ipv6_cidrs_per_vpc", 50, |quotas| &mut quotas.ipv6_cidrs_per_vpc),
    named("nat_gateways_per_zone", ANY, |quotas| &mut quotas.nat_gateways_per_zone),
    named("network_acls_per_vpc", ANY, |quotas| &mut quotas.network_acls_per_vpc),
    named("outstanding_peerings", ANY, |quotas| &mut quotas.outstanding_peerings),
    named("prefix_lists", ANY, |quotas| &mut quotas.prefix_lists),
    named("private_addresses_per_nat_gateway", 8, |quotas| &mut quotas.private_addresses_per_nat_gateway),
    named("route_tables_per_vpc", ANY, |quotas| &mut quotas.route_tables_per_vpc),
    named("routes_per_table", 1000, |quotas| &mut quotas.routes_per_table),
    named("rules_per_group", RULES_PER_INTERFACE, |quotas| &mut quotas.rules_per_group),
    named("rules_per_network_acl", 40, |quotas| &mut quotas.rules_per_network_acl),
    named("security_groups", ANY, |quotas| &mut quotas.security_groups),
    named("subnets_per_vpc", ANY, |quotas| &mut quotas.subnets_per_vpc),
    named("vpcs", ANY, |quotas| &mut quotas.vpcs),
];

impl Quotas {
    /// Has one quota, by its name, be something else.
    ///
    /// # Errors
    /// There is no such quota, or nobody has so much of it.
    pub fn set(&mut self, name: &str, value: usize) -> Result<(), BadQuota> {
        let named = NAMED.iter().find(|named| named.name == name);
        let named = named.ok_or_else(|| BadQuota::Unknown(name.to_owned()))?;
        if value > named.most {
            return Err(BadQuota::TooMany { name: named.name, most: named.most });
        }
        *(named.of)(self) = value;
        Ok(())
    }

    /// Whether the quotas go together, once each is set.
    ///
    /// # Errors
    /// An interface could have too many rules.
    pub fn check(&self) -> Result<(), BadQuota> {
        let product = self.rules_per_group.saturating_mul(self.groups_per_interface);
        if product > RULES_PER_INTERFACE { Err(BadQuota::RulesPerInterface(product)) } else { Ok(()) }
    }
}

fn known() -> String {
    NAMED.map(|named| named.name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;
    use crate::{Change, Fault, Quota};

    #[test]
    fn a_quota_is_set_by_its_name() {
        let mut quotas = Quotas::default();
        for (at, named) in (1..).zip(&NAMED) {
            let value = named.most.min(at);
            quotas.set(named.name, value).unwrap();
            let shown = serde_json::to_value(&quotas).unwrap();
            assert_eq!(shown[named.name], value, "the name is the member's");
        }
        assert_eq!(NAMED.len() + 2, serde_json::to_value(&quotas).unwrap().as_object().unwrap().len());
        assert!(NAMED.is_sorted_by_key(|named| named.name));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut quotas = Quotas::default();
        let unknown = quotas.set("interfaces_per_instance", 20).unwrap_err().to_string();
        assert!(unknown.contains("`interfaces_per_instance` (known: active_peerings_per_vpc, "), "{unknown}");
        let many = quotas.set("groups_per_interface", 17).unwrap_err();
        assert_eq!(many.to_string(), "`groups_per_interface` can be 16 at most");
        assert_eq!(quotas, Quotas::default());
        quotas.set("rules_per_group", 200).unwrap();
        quotas.check().unwrap();
        quotas.set("rules_per_group", 201).unwrap();
        assert_eq!(quotas.check(), Err(BadQuota::RulesPerInterface(1005)));
    }

    #[test]
    fn a_region_can_get_others() {
        let mut network = Network::new();
        let mut quotas = Quotas { security_groups: 1, ..network.region.quotas().clone() };
        network.apply(Change::SetQuotas { quotas: quotas.clone() });
        let create = Change::CreateSecurityGroup {
            vpc: network.vpc,
            name: "more".to_owned(),
            description: "d".to_owned(),
            tags: Default::default(),
        };
        let fault = network.refused(create.clone());
        assert_eq!(fault, Fault::LimitExceeded(Quota::SecurityGroups), "what is there stays");
        quotas.security_groups = 10;
        network.apply(Change::SetQuotas { quotas });
        network.apply(create);
    }
}
