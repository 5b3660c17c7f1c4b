//! Making, replacing and deleting routes.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::fault::{Fault, InvalidValue};
use crate::id::RouteTableId;
use crate::quota::Quota;
use crate::region::Region;
use crate::route_table::{RouteOrigin, RouteTable, RouteTarget, RouteVia};

impl Region {
    pub(crate) fn create_route(
        &mut self,
        table: RouteTableId,
        destination: Ipv4Net,
        via: RouteVia,
    ) -> Result<(), Fault> {
        let destination = destination.trunc();
        let in_table = self.route_table(table)?;
        if in_table.routes.contains_key(&destination) {
            return Err(Fault::RouteAlreadyExists(destination));
        }
        if RESERVED.contains(&destination) {
            return Err(InvalidValue::RouteReserved(destination).into());
        }
        let target = self.route_target(in_table, destination, via)?;
        let asked_for = in_table.routes().filter(|route| route.origin == RouteOrigin::CreateRoute);
        self.quotas.allow(Quota::RoutesPerTable, asked_for.count() + 1)?;

        self.put_route(table, destination, target);
        Ok(())
    }

    pub(crate) fn replace_route(
        &mut self,
        table: RouteTableId,
        destination: Ipv4Net,
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

    pub(crate) fn delete_route(&mut self, id: RouteTableId, destination: Ipv4Net) -> Result<(), Fault> {
        let destination = destination.trunc();
        let table = self.route_tables.get_mut(&id).ok_or(Fault::RouteTableNotFound(id))?;
        let route = table.routes.get(&destination).ok_or(Fault::RouteNotFound { table: id, destination })?;
        if route.target == RouteTarget::Local {
            return Err(InvalidValue::RouteLocal { table: id, destination }.into());
        }

        table.routes.remove(&destination);
        Ok(())
    }

    fn put_route(&mut self, table: RouteTableId, destination: Ipv4Net, target: RouteTarget) {
        if let Some(table) = self.route_tables.get_mut(&table) {
            table.insert(destination, target, RouteOrigin::CreateRoute);
        }
    }

    /// What a route of the table to `destination` can lead to, if it is what was asked for.
    fn route_target(
        &self,
        table: &RouteTable,
        destination: Ipv4Net,
        via: RouteVia,
    ) -> Result<RouteTarget, Fault> {
        if self.vpc(table.vpc)?.contains(destination) {
            if matches!(via, RouteVia::InternetGateway(_)) {
                return Err(InvalidValue::RouteInsideVpc(destination).into());
            }
            if !self.subnets_of(table.vpc).any(|subnet| subnet.cidr == destination) {
                return Err(InvalidValue::RouteNotToSubnet(destination).into());
            }
        }
        let (target, interface) = match via {
            RouteVia::InternetGateway(id) => {
                let gateway = self.internet_gateways.get(&id).ok_or(Fault::GatewayNotFound(id))?;
                if gateway.vpc != Some(table.vpc) {
                    return Err(InvalidValue::TableAndGatewayApart { table: table.id, gateway: id }.into());
                }
                return Ok(RouteTarget::InternetGateway(id));
            }
            RouteVia::Interface(id) => (RouteTarget::Interface(id), id),
            RouteVia::Instance(id) => {
                let interface = self.only_interface(id)?;
                (RouteTarget::Instance { instance: id, interface }, interface)
            }
        };
        if self.interface(interface)?.vpc != table.vpc {
            return Err(InvalidValue::TableAndInterfaceApart { table: table.id, interface }.into());
        }
        Ok(target)
    }
}

/// Addresses of AWS services that no route can lead to (VPC User Guide, "Routing considerations").
const RESERVED: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 168, 0), 22);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr, tags};
    use crate::route_table::{Route, RouteState};
    use crate::{Applied, Change, InstanceState};

    fn route(table: RouteTableId, destination: &str, target: RouteVia) -> Change {
        Change::CreateRoute { table, destination: cidr(destination), target }
    }

    fn target(network: &Network, table: RouteTableId, destination: &str) -> Route {
        network.region.route_tables()[&table].routes[&cidr(destination)].clone()
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
        assert_eq!(twice, Fault::RouteAlreadyExists(cidr("192.0.2.0/24")));
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
    fn inside_the_vpc_only_a_whole_subnet_to_an_interface() {
        let mut network = Network::new();
        let table = network.route_table();
        let igw = network.internet_gateway();
        let (_, interface) = network.instance();
        let via = RouteVia::Interface(interface);
        let fault = network.refused(route(table, "10.0.1.0/24", RouteVia::InternetGateway(igw)));
        assert_eq!(fault, InvalidValue::RouteInsideVpc(cidr("10.0.1.0/24")).into());
        for part in ["10.0.1.0/25", "10.0.0.0/17", "10.0.9.0/24"] {
            let fault = network.refused(route(table, part, via));
            assert_eq!(fault, InvalidValue::RouteNotToSubnet(cidr(part)).into());
        }
        network.apply(route(table, "10.0.1.0/24", via));
        network.apply(route(table, "10.0.0.0/8", via));
        for reserved in ["169.254.168.0/22", "169.254.169.254/32"] {
            let fault = network.refused(route(table, reserved, via));
            assert_eq!(fault, InvalidValue::RouteReserved(cidr(reserved)).into());
        }
        network.apply(route(table, "169.254.0.0/16", via));
    }

    #[test]
    fn a_route_is_replaced_and_deleted() {
        let mut network = Network::new();
        let table = network.route_table();
        let igw = network.internet_gateway();
        let (_, interface) = network.instance();
        let replace = |destination: &str, target| Change::ReplaceRoute {
            table,
            destination: cidr(destination),
            target,
        };
        let delete = |destination: &str| Change::DeleteRoute { table, destination: cidr(destination) };

        let early = network.refused(replace("0.0.0.0/0", RouteVia::Interface(interface)));
        assert_eq!(early, InvalidValue::RouteMissing(cidr("0.0.0.0/0")).into());
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
        let to = |n: u8| route(table, &format!("192.168.{n}.0/24"), RouteVia::Interface(interface));
        for n in 0..50 {
            network.apply(to(n));
        }
        assert_eq!(network.refused(to(50)).code(), "RouteLimitExceeded");
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
}
