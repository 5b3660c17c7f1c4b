//! Making, replacing and deleting routes.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::fault::{Fault, InvalidValue};
use crate::id::{PrefixListId, RouteTableId};
use crate::prefix_list::AddressFamily;
use crate::quota::Quota;
use crate::region::Region;
use crate::route_table::{Destination, RouteOrigin, RouteTable, RouteTarget, RouteVia};

impl Region {
    pub(crate) fn create_route(
        &mut self,
        table: RouteTableId,
        destination: Destination,
        via: RouteVia,
    ) -> Result<(), Fault> {
        let destination = destination.trunc();
        let in_table = self.route_table(table)?;
        if in_table.routes.contains_key(&destination) {
            return Err(Fault::RouteAlreadyExists(destination));
        }
        let target = self.route_target(in_table, destination, via)?;
        self.allow_routes(in_table, Some(destination))?;

        self.put_route(table, destination, target);
        Ok(())
    }

    pub(crate) fn replace_route(
        &mut self,
        table: RouteTableId,
        destination: Destination,
        via: RouteVia,
    ) -> Result<(), Fault> {
        let destination = destination.trunc();
        let in_table = self.route_table(table)?;
        let route = in_table.routes.get(&destination).ok_or(InvalidValue::RouteMissing(destination))?;
        if route.target == RouteTarget::Local {
            return Err(Fault::LocalRoute(destination));
        }
        let target = self.route_target(in_table, destination, via)?;

        self.put_route(table, destination, target);
        Ok(())
    }

    pub(crate) fn delete_route(&mut self, id: RouteTableId, destination: Destination) -> Result<(), Fault> {
        let destination = destination.trunc();
        let table = self.route_tables.get_mut(&id).ok_or(Fault::RouteTableNotFound(id))?;
        let route = table.routes.get(&destination).ok_or(Fault::RouteNotFound { table: id, destination })?;
        if route.target == RouteTarget::Local {
            return Err(InvalidValue::RouteLocal { table: id, destination }.into());
        }

        table.routes.remove(&destination);
        Ok(())
    }

    /// The CIDR blocks of a destination.
    pub(crate) fn cidrs_of(&self, destination: Destination) -> impl Iterator<Item = IpNet> {
        let list = match destination {
            Destination::PrefixList(list) => self.prefix_lists.get(&list),
            _ => None,
        };
        let entries = list.into_iter().flat_map(|list| list.entries.iter().map(|entry| entry.cidr));
        destination.cidr().into_iter().chain(entries)
    }

    /// Whether a table's route to a prefix list can be there with the entries and the size that the list has.
    pub(crate) fn check_routes_by(&self, table: RouteTableId, list: PrefixListId) -> Result<(), Fault> {
        let in_table = self.route_table(table)?;
        let destination = Destination::PrefixList(list);
        if let Some(route) = in_table.routes.get(&destination) {
            self.check_destination(in_table, destination, route.target)?;
        }
        self.allow_routes(in_table, None)
    }

    fn put_route(&mut self, table: RouteTableId, destination: Destination, target: RouteTarget) {
        if let Some(table) = self.route_tables.get_mut(&table) {
            table.insert(destination, target, RouteOrigin::CreateRoute);
        }
    }

    /// What a route of the table to `destination` can lead to, if it is what was asked for.
    fn route_target(
        &self,
        table: &RouteTable,
        destination: Destination,
        via: RouteVia,
    ) -> Result<RouteTarget, Fault> {
        let (target, interface) = match via {
            RouteVia::InternetGateway(id) => {
                let gateway = self.internet_gateways.get(&id).ok_or(Fault::GatewayNotFound(id))?;
                if gateway.vpc != Some(table.vpc) {
                    return Err(InvalidValue::TableAndGatewayApart { table: table.id, gateway: id }.into());
                }
                (RouteTarget::InternetGateway(id), None)
            }
            RouteVia::EgressOnlyInternetGateway(id) => {
                let gateway = self.egress_only_internet_gateways.get(&id);
                let gateway = gateway.ok_or(Fault::EgressOnlyInternetGatewayNotFound(id))?;
                if gateway.vpc != table.vpc {
                    let table = table.id;
                    return Err(InvalidValue::TableAndEgressOnlyGatewayApart { table, gateway: id }.into());
                }
                (RouteTarget::EgressOnlyInternetGateway(id), None)
            }
            RouteVia::NatGateway(id) => {
                let gateway = self.nat_gateways.get(&id).filter(|gateway| gateway.stands());
                if gateway.ok_or(Fault::RouteNatGatewayNotFound(id))?.vpc != table.vpc {
                    return Err(InvalidValue::TableAndNatGatewayApart { table: table.id, gateway: id }.into());
                }
                (RouteTarget::NatGateway(id), None)
            }
            RouteVia::Peering(id) => {
                let connection =
                    self.vpc_peering_connections.get(&id).filter(|connection| connection.stands());
                if !connection.ok_or(Fault::VpcPeeringConnectionNotFound(id))?.joins(table.vpc) {
                    return Err(InvalidValue::TableAndPeeringApart { table: table.id, connection: id }.into());
                }
                (RouteTarget::Peering(id), None)
            }
            RouteVia::Interface(id) => (RouteTarget::Interface(self.own_interface(id)?.id), Some(id)),
            RouteVia::Instance(id) => {
                let interface = self.only_interface(id)?;
                (RouteTarget::Instance { instance: id, interface }, Some(interface))
            }
        };
        if let Some(interface) = interface
            && self.interface(interface)?.vpc != table.vpc
        {
            return Err(InvalidValue::TableAndInterfaceApart { table: table.id, interface }.into());
        }
        self.check_destination(table, destination, target)?;
        Ok(target)
    }

    /// Whether a route of the table can lead to `destination` by `target`.
    fn check_destination(
        &self,
        table: &RouteTable,
        destination: Destination,
        target: RouteTarget,
    ) -> Result<(), Fault> {
        if !table.gateway_associations.is_empty() {
            self.check_gateway_route(table, destination, target)?;
        }
        let only_ipv6 = matches!(target, RouteTarget::EgressOnlyInternetGateway(_));
        if only_ipv6 && self.family_of(destination)? != AddressFamily::Ipv6 {
            return Err(InvalidValue::RouteNotIpv6(destination).into());
        }
        let into_vpc = matches!(
            target,
            RouteTarget::Interface(_) | RouteTarget::Instance { .. } | RouteTarget::NatGateway(_)
        );
        let vpc = self.vpc(table.vpc)?;
        for cidr in self.cidrs_of(destination) {
            if RESERVED.iter().any(|reserved| reserved.contains(&cidr)) {
                return Err(InvalidValue::RouteReserved(destination).into());
            }
            if !vpc.contains(cidr) {
                continue;
            }
            if !into_vpc {
                return Err(InvalidValue::RouteInsideVpc(destination).into());
            }
            if !self.subnets_of(table.vpc).any(|subnet| subnet.cidrs().any(|own| own == cidr)) {
                return Err(InvalidValue::RouteNotToSubnet(destination).into());
            }
        }
        Ok(())
    }

    fn family_of(&self, destination: Destination) -> Result<AddressFamily, Fault> {
        match destination {
            Destination::V4(_) => Ok(AddressFamily::Ipv4),
            Destination::V6(_) => Ok(AddressFamily::Ipv6),
            Destination::PrefixList(list) => Ok(self.prefix_list(list)?.family),
        }
    }

    /// Whether a table can hold the routes that were asked for, and one more.
    fn allow_routes(&self, table: &RouteTable, more: Option<Destination>) -> Result<(), Fault> {
        let asked_for = table.routes().filter(|route| route.origin == RouteOrigin::CreateRoute);
        let (mut v4, mut v6) = (0, 0);
        for destination in asked_for.map(|route| route.destination).chain(more) {
            let count = match destination {
                Destination::PrefixList(list) => self.prefix_list(list)?.max_entries as usize,
                Destination::V4(_) | Destination::V6(_) => 1,
            };
            match self.family_of(destination)? {
                AddressFamily::Ipv4 => v4 += count,
                AddressFamily::Ipv6 => v6 += count,
            }
        }
        self.quotas.allow(Quota::RoutesPerTable, v4.max(v6))
    }
}

/// Addresses of AWS services that no route can lead to (VPC User Guide, "Routing considerations").
const RESERVED: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 168, 0), 22)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, tags};
    use crate::route_table::{Route, RouteState};
    use crate::{Applied, Change, InstanceState, PrefixListEntry};

    fn to(text: &str) -> Destination {
        text.parse().unwrap()
    }

    fn route(table: RouteTableId, destination: &str, target: RouteVia) -> Change {
        Change::CreateRoute { table, destination: to(destination), target }
    }

    fn target(network: &Network, table: RouteTableId, destination: &str) -> Route {
        network.region.route_tables()[&table].routes[&to(destination)].clone()
    }

    #[test]
    fn routes_lead_to_what_stands_in_the_vpc() {
        let mut network = Network::new();
        let table = network.route_table();
        let igw = network.internet_gateway();
        let (instance, interface) = network.instance();

        network.apply(route(table, "0.0.0.7/0", RouteVia::InternetGateway(igw)));
        network.apply(route(table, "192.0.2.1/24", RouteVia::Instance(instance)));
        network.apply(route(table, "198.51.100.0/24", RouteVia::Interface(interface)));
        assert_eq!(target(&network, table, "0.0.0.0/0").target.to_string(), igw.to_string());
        let to_instance = target(&network, table, "192.0.2.0/24");
        assert_eq!(to_instance.target, RouteTarget::Instance { instance, interface });
        assert_eq!(to_instance.target.to_string(), instance.to_string());
        assert_eq!(to_instance.origin, RouteOrigin::CreateRoute);
        assert_eq!(target(&network, table, "198.51.100.0/24").target.to_string(), interface.to_string());
        assert_eq!(target(&network, table, "10.0.0.0/16").target.to_string(), "local");

        let twice = network.refused(route(table, "192.0.2.0/24", RouteVia::Interface(interface)));
        assert_eq!(twice, Fault::RouteAlreadyExists(to("192.0.2.0/24")));
        let local = network.refused(route(table, "10.0.0.0/16", RouteVia::Interface(interface)));
        assert_eq!(local.code(), "RouteAlreadyExists");
    }

    #[test]
    fn routes_to_nowhere_are_refused() {
        let mut network = Network::new();
        let table = network.route_table();
        let igw = |text: &str| RouteVia::InternetGateway(text.parse().unwrap());
        let missing: [(RouteVia, &str); 3] = [
            (igw("igw-00000000"), "InvalidGatewayID.NotFound"),
            (RouteVia::Instance("i-00000000".parse().unwrap()), "InvalidInstanceID.NotFound"),
            (RouteVia::Interface("eni-00000000".parse().unwrap()), "InvalidNetworkInterfaceID.NotFound"),
        ];
        for (via, code) in missing {
            assert_eq!(network.refused(route(table, "0.0.0.0/0", via)).code(), code);
        }
        let Applied::InternetGateway(loose) =
            network.apply(Change::CreateInternetGateway { tags: tags("x") })
        else {
            panic!()
        };
        let fault = network.refused(route(table, "0.0.0.0/0", RouteVia::InternetGateway(loose)));
        assert_eq!(fault, InvalidValue::TableAndGatewayApart { table, gateway: loose }.into());

        let (instance, _) = network.instance();
        let elsewhere = network.other_table();
        let fault = network.refused(route(elsewhere, "0.0.0.0/0", RouteVia::Instance(instance)));
        assert_eq!(fault.code(), "InvalidParameterValue");
        let nowhere = "rtb-00000000".parse().unwrap();
        let fault = network.refused(route(nowhere, "0.0.0.0/0", RouteVia::Instance(instance)));
        assert_eq!(fault.code(), "InvalidRouteTableID.NotFound");
    }

    #[test]
    fn inside_the_vpc_only_a_whole_subnet_to_an_interface_or_a_nat_gateway() {
        let mut network = Network::new();
        let table = network.route_table();
        let igw = network.internet_gateway();
        let (_, interface) = network.instance();
        let via = RouteVia::Interface(interface);
        let fault = network.refused(route(table, "10.0.1.0/24", RouteVia::InternetGateway(igw)));
        assert_eq!(fault, InvalidValue::RouteInsideVpc(to("10.0.1.0/24")).into());
        for part in ["10.0.1.0/25", "10.0.0.0/17", "10.0.9.0/24"] {
            let fault = network.refused(route(table, part, via));
            assert_eq!(fault, InvalidValue::RouteNotToSubnet(to(part)).into());
        }
        network.apply(route(table, "10.0.1.0/24", via));
        let (gateway, _) = network.nat_gateway();
        let to_gateway = Change::ReplaceRoute {
            table,
            destination: to("10.0.1.0/24"),
            target: RouteVia::NatGateway(gateway),
        };
        network.apply(to_gateway);
        network.apply(route(table, "10.0.0.0/8", via));
        for reserved in ["169.254.168.0/22", "169.254.169.254/32"] {
            let fault = network.refused(route(table, reserved, via));
            assert_eq!(fault, InvalidValue::RouteReserved(to(reserved)).into());
        }
        network.apply(route(table, "169.254.0.0/16", via));
    }

    #[test]
    fn a_route_is_replaced_and_deleted() {
        let mut network = Network::new();
        let table = network.route_table();
        let igw = network.internet_gateway();
        let (_, interface) = network.instance();
        let replace =
            |destination: &str, target| Change::ReplaceRoute { table, destination: to(destination), target };
        let delete = |destination: &str| Change::DeleteRoute { table, destination: to(destination) };

        let early = network.refused(replace("0.0.0.0/0", RouteVia::Interface(interface)));
        assert_eq!(early, InvalidValue::RouteMissing(to("0.0.0.0/0")).into());
        network.apply(route(table, "0.0.0.0/0", RouteVia::InternetGateway(igw)));
        network.apply(replace("0.0.0.9/0", RouteVia::Interface(interface)));
        assert_eq!(target(&network, table, "0.0.0.0/0").target, RouteTarget::Interface(interface));

        let local = network.refused(replace("10.0.0.0/16", RouteVia::Interface(interface)));
        assert_eq!(local.code(), "UnsupportedOperation");
        assert_eq!(network.refused(delete("10.0.0.0/16")).code(), "InvalidParameterValue");
        network.apply(delete("0.0.0.0/0"));
        assert_eq!(network.refused(delete("0.0.0.0/0")).code(), "InvalidRoute.NotFound");
    }

    #[test]
    fn a_route_to_what_has_gone_is_a_black_hole() {
        let mut network = Network::new();
        let table = network.route_table();
        let igw = network.internet_gateway();
        network.apply(route(table, "0.0.0.0/0", RouteVia::InternetGateway(igw)));
        let route = target(&network, table, "0.0.0.0/0");
        network.apply(Change::DetachInternetGateway { igw, vpc: network.vpc });
        assert_eq!(network.region.route_state(&route), RouteState::Blackhole);
        network.apply(Change::AttachInternetGateway { igw, vpc: network.other });
        assert_eq!(network.region.route_state(&route), RouteState::Blackhole, "another VPC's way out");
        network.apply(Change::DetachInternetGateway { igw, vpc: network.other });
        network.apply(Change::DeleteInternetGateway { igw });
        assert_eq!(network.region.route_state(&route), RouteState::Blackhole);
        assert_eq!(target(&network, table, "0.0.0.0/0"), route, "it stays until it is deleted");
    }

    #[test]
    fn a_table_holds_fifty_routes() {
        let mut network = Network::new();
        let table = network.route_table();
        let (_, interface) = network.instance();
        let nth = |n: u8| route(table, &format!("192.168.{n}.0/24"), RouteVia::Interface(interface));
        for n in 0..50 {
            network.apply(nth(n));
        }
        assert_eq!(network.refused(nth(50)).code(), "RouteLimitExceeded");
        network.apply(route(table, "::/0", RouteVia::Interface(interface)));
    }

    #[test]
    fn a_route_to_a_stopped_instance_is_a_black_hole() {
        let mut network = Network::new();
        let table = network.route_table();
        let (instance, _) = network.instance();
        network.apply(route(table, "0.0.0.0/0", RouteVia::Instance(instance)));
        let dead = target(&network, table, "0.0.0.0/0");
        assert_eq!(network.region.route_state(&dead), RouteState::Active);
        network.apply(Change::SetInstanceState { instance, state: InstanceState::Running });
        network.apply(Change::StopInstance { instance, time: 0 });
        assert_eq!(network.region.route_state(&dead), RouteState::Blackhole);
        let local = target(&network, table, "10.0.0.0/16");
        assert_eq!(network.region.route_state(&local).to_string(), "active");
    }

    #[test]
    fn ipv6_leaves_by_either_gateway() {
        let mut network = Network::with_ipv6();
        let table = network.route_table();
        let (igw, (_, interface)) = (network.internet_gateway(), network.instance());
        let (vpc, other) = (network.vpc, network.other);
        let mut egress_only =
            |vpc| match network.apply(Change::CreateEgressOnlyInternetGateway { vpc, tags: tags("eigw") }) {
                Applied::EgressOnlyInternetGateway(id) => id,
                other => panic!("{other:?}"),
            };
        let (own, foreign) = (egress_only(vpc), egress_only(other));
        let out = RouteVia::EgressOnlyInternetGateway(own);
        network.apply(route(table, "::/0", out));
        network.apply(route(table, "2001:db8:f::/48", RouteVia::InternetGateway(igw)));
        network.apply(route(table, "2001:db8:0:101::/64", RouteVia::Interface(interface)));
        for (destination, via) in [
            ("0.0.0.0/0", out),
            ("2001:db8:1::/48", RouteVia::EgressOnlyInternetGateway(foreign)),
            ("2001:db8:0:100::/64", out),
            ("2001:db8:0:102::/64", RouteVia::Interface(interface)),
            ("fd00:ec2::254/128", RouteVia::Interface(interface)),
        ] {
            assert_eq!(network.refused(route(table, destination, via)).code(), "InvalidParameterValue");
        }
        let dead = target(&network, table, "::/0");
        assert_eq!(network.region.route_state(&dead), RouteState::Active);
        network.apply(Change::DeleteEgressOnlyInternetGateway { gateway: own });
        assert_eq!(network.region.route_state(&dead), RouteState::Blackhole);
        let again = network.refused(route(table, "2001:db8:2::/48", out));
        assert_eq!(again, Fault::EgressOnlyInternetGatewayNotFound(own));
    }

    #[test]
    fn a_cidr_block_beats_a_prefix_list() {
        let mut network = Network::new();
        let table = network.route_table();
        let (igw, (_, interface)) = (network.internet_gateway(), network.instance());
        let entry = |text: &str| PrefixListEntry { cidr: text.parse().unwrap(), description: None };
        let create = Change::CreateManagedPrefixList {
            name: "x".to_owned(),
            family: AddressFamily::Ipv4,
            max_entries: 2,
            entries: vec![entry("192.0.2.0/24"), entry("198.51.100.0/24")],
            tags: tags("x"),
        };
        let Applied::PrefixList(list) = network.apply(create) else { panic!() };
        let list = Destination::PrefixList(list);
        let target = RouteVia::InternetGateway(igw);
        network.apply(Change::CreateRoute { table, destination: list, target });
        network.apply(route(table, "192.0.2.0/24", RouteVia::Interface(interface)));
        let resolved: Vec<_> = network
            .region
            .resolved_routes(&network.region.route_tables()[&table])
            .into_iter()
            .map(|(cidr, route)| (cidr.to_string(), route.target))
            .collect();
        let expected = [
            ("10.0.0.0/16".to_owned(), RouteTarget::Local),
            ("192.0.2.0/24".to_owned(), RouteTarget::Interface(interface)),
            ("198.51.100.0/24".to_owned(), RouteTarget::InternetGateway(igw)),
        ];
        assert_eq!(resolved, expected);
        let unknown = Destination::PrefixList("pl-00000000".parse().unwrap());
        let fault = network.refused(Change::CreateRoute { table, destination: unknown, target });
        assert_eq!(fault.code(), "InvalidPrefixListID.NotFound");
    }
}
