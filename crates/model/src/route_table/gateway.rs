//! Route tables of internet gateways: by which way packets from the internet come into the VPC (VPC User Guide, "Gateway
//! route tables").

use crate::fault::{Fault, InvalidValue};
use crate::id::{InternetGatewayId, RouteTableAssociationId, RouteTableId};
use crate::region::Region;
use crate::route_table::{Destination, RouteTable, RouteTarget};

impl Region {
    /// The route table by which an internet gateway's packets go into the VPC, if not by the local routes alone.
    pub fn gateway_route_table(&self, gateway: InternetGatewayId) -> Option<&RouteTable> {
        let mut tables = self.route_tables.values();
        tables.find(|table| table.gateway_associations.values().any(|&own| own == gateway))
    }

    pub(crate) fn associate_gateway_route_table(
        &mut self,
        table: RouteTableId,
        gateway: InternetGatewayId,
    ) -> Result<RouteTableAssociationId, Fault> {
        self.check_gateway_table(table, gateway)?;
        if self.gateway_route_table(gateway).is_some() {
            return Err(Fault::GatewayAlreadyAssociated { table, gateway });
        }

        Ok(self.tie_gateway(table, gateway))
    }

    /// Whether a gateway can go by a table.
    pub(super) fn check_gateway_table(
        &self,
        table: RouteTableId,
        gateway: InternetGatewayId,
    ) -> Result<(), Fault> {
        let in_table = self.route_table(table)?;
        let vpc = self.internet_gateways.get(&gateway).ok_or(Fault::GatewayNotFound(gateway))?.vpc;
        if vpc != Some(in_table.vpc) {
            return Err(InvalidValue::TableAndGatewayApart { table, gateway }.into());
        }
        for route in in_table.routes() {
            self.check_gateway_route(in_table, route.destination, route.target)?;
        }
        Ok(())
    }

    /// Whether a table that gateways go by can have such a route.
    pub(super) fn check_gateway_route(
        &self,
        table: &RouteTable,
        destination: Destination,
        target: RouteTarget,
    ) -> Result<(), Fault> {
        let vpc = self.vpc(table.vpc)?;
        let inside = destination.cidr().is_some_and(|cidr| vpc.contains(cidr));
        match target {
            RouteTarget::Local => Ok(()),
            RouteTarget::Interface(_) | RouteTarget::Instance { .. } if inside => Ok(()),
            _ => Err(InvalidValue::GatewayRoute { table: table.id, destination }.into()),
        }
    }

    pub(super) fn tie_gateway(
        &mut self,
        table: RouteTableId,
        gateway: InternetGatewayId,
    ) -> RouteTableAssociationId {
        let id = self.draw();
        if let Some(table) = self.route_tables.get_mut(&table) {
            table.gateway_associations.insert(id, gateway);
        }
        id
    }

    /// Takes the table from a gateway that leaves its VPC.
    pub(crate) fn untie_gateway(&mut self, gateway: InternetGatewayId) {
        for table in self.route_tables.values_mut() {
            table.gateway_associations.retain(|_, own| *own != gateway);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr};
    use crate::{Applied, Change, RouteVia};

    fn associated(network: &mut Network, change: Change) -> RouteTableAssociationId {
        match network.apply(change) {
            Applied::RouteTableAssociation(id) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_gateway_goes_by_a_table_of_whole_subnets() {
        let mut network = Network::new();
        let (table, plain) = (network.route_table(), network.route_table());
        let gateway = network.internet_gateway();
        let (_, interface) = network.instance();
        let route = |table, destination: &str, target| Change::CreateRoute {
            table,
            destination: cidr(destination).into(),
            target,
        };
        let (via, out) = (RouteVia::Interface(interface), RouteVia::InternetGateway(gateway));
        network.apply(route(plain, "0.0.0.0/0", out));
        let associate = |table| Change::AssociateGatewayRouteTable { table, gateway };
        let wide = network.refused(associate(plain));
        let destination = cidr("0.0.0.0/0").into();
        assert_eq!(wide, InvalidValue::GatewayRoute { table: plain, destination }.into());
        assert_eq!(network.refused(associate(network.other_table())).code(), "InvalidParameterValue");

        let first = associated(&mut network, associate(table));
        assert_eq!(network.region.gateway_route_table(gateway).unwrap().id, table);
        assert_eq!(network.refused(associate(table)).code(), "Resource.AlreadyAssociated");
        assert_eq!(network.refused(Change::DeleteRouteTable { table }).code(), "DependencyViolation");
        network.apply(route(table, "10.0.1.0/24", via));
        for (destination, target) in [("192.0.2.0/24", via), ("0.0.0.0/0", out)] {
            assert_eq!(network.refused(route(table, destination, target)).code(), "InvalidParameterValue");
        }

        let other = network.route_table();
        let replace = Change::ReplaceRouteTableAssociation { association: first, table: other };
        let second = associated(&mut network, replace);
        assert_eq!(network.region.gateway_route_table(gateway).unwrap().id, other);
        let back = Change::ReplaceRouteTableAssociation { association: second, table: plain };
        assert_eq!(network.refused(back).code(), "InvalidParameterValue");
        network.apply(Change::DisassociateRouteTable { association: second });
        assert_eq!(network.region.gateway_route_table(gateway), None);

        associated(&mut network, associate(table));
        network.apply(Change::DetachInternetGateway { igw: gateway, vpc: network.vpc });
        assert_eq!(network.region.gateway_route_table(gateway), None);
    }
}
