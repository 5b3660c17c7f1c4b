//! Which subnet, or which VPC, uses which route table.

use crate::fault::{Fault, InvalidValue};
use crate::id::{InternetGatewayId, RouteTableAssociationId, RouteTableId, SubnetId, VpcId};
use crate::region::Region;
use crate::route_table::RouteTable;

/// Who uses a table by an association.
enum User {
    /// A subnet whose own table this is.
    Subnet { subnet: SubnetId, table: RouteTableId },
    /// A VPC whose main table this is.
    Vpc(VpcId),
    /// An internet gateway whose packets into the VPC go by this table.
    Gateway { gateway: InternetGatewayId, table: RouteTableId },
}

impl Region {
    pub(crate) fn associate_route_table(
        &mut self,
        table: RouteTableId,
        subnet: SubnetId,
    ) -> Result<RouteTableAssociationId, Fault> {
        if self.route_table(table)?.vpc != self.subnet(subnet)?.vpc {
            return Err(InvalidValue::TableAndSubnetApart { table, subnet }.into());
        }
        if self.own_route_table(subnet).is_some() {
            return Err(Fault::SubnetAlreadyAssociated { table, subnet });
        }

        Ok(self.tie(table, subnet))
    }

    pub(crate) fn replace_route_table_association(
        &mut self,
        association: RouteTableAssociationId,
        table: RouteTableId,
    ) -> Result<RouteTableAssociationId, Fault> {
        let user = self.user_of(association)?;
        let network = self.route_table(table)?.vpc;
        match user {
            User::Subnet { subnet, .. } if self.subnet(subnet)?.vpc != network => {
                Err(InvalidValue::TableAndSubnetApart { table, subnet }.into())
            }
            User::Vpc(vpc) if vpc != network => Err(InvalidValue::TableAndVpcApart { table, vpc }.into()),
            User::Subnet { subnet, table: old } => {
                self.untie(old, association);
                Ok(self.tie(table, subnet))
            }
            User::Gateway { gateway, table: old } => {
                self.check_gateway_table(table, gateway)?;
                self.untie(old, association);
                Ok(self.tie_gateway(table, gateway))
            }
            User::Vpc(vpc) => {
                let id = self.draw();
                if let Some(vpc) = self.vpcs.get_mut(&vpc) {
                    (vpc.main_route_table, vpc.main_association) = (table, id);
                }
                Ok(id)
            }
        }
    }

    pub(crate) fn disassociate_route_table(
        &mut self,
        association: RouteTableAssociationId,
    ) -> Result<(), Fault> {
        match self.user_of(association)? {
            User::Subnet { table, .. } | User::Gateway { table, .. } => {
                self.untie(table, association);
                Ok(())
            }
            User::Vpc(_) => Err(InvalidValue::MainAssociation(association).into()),
        }
    }

    pub(super) fn own_route_table(&self, subnet: SubnetId) -> Option<&RouteTable> {
        self.route_tables.values().find(|table| table.associations.values().any(|&id| id == subnet))
    }

    fn user_of(&self, association: RouteTableAssociationId) -> Result<User, Fault> {
        let mut tables = self.route_tables.values();
        let of_subnet = tables.find_map(|table| {
            let &subnet = table.associations.get(&association)?;
            Some(User::Subnet { subnet, table: table.id })
        });
        let of_vpc = || self.vpcs.values().find(|vpc| vpc.main_association == association);
        let of_gateway = || {
            self.route_tables.values().find_map(|table| {
                let &gateway = table.gateway_associations.get(&association)?;
                Some(User::Gateway { gateway, table: table.id })
            })
        };
        let user = of_subnet.or_else(of_gateway).or_else(|| of_vpc().map(|vpc| User::Vpc(vpc.id)));
        user.ok_or(Fault::RouteTableAssociationNotFound(association))
    }

    fn tie(&mut self, table: RouteTableId, subnet: SubnetId) -> RouteTableAssociationId {
        let id = self.draw();
        if let Some(table) = self.route_tables.get_mut(&table) {
            table.associations.insert(id, subnet);
        }
        id
    }

    fn untie(&mut self, table: RouteTableId, association: RouteTableAssociationId) {
        if let Some(table) = self.route_tables.get_mut(&table) {
            table.associations.remove(&association);
            table.gateway_associations.remove(&association);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;
    use crate::{Applied, Change, Subnet};

    fn associated(network: &mut Network, change: Change) -> RouteTableAssociationId {
        match network.apply(change) {
            Applied::RouteTableAssociation(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn subnet(network: &Network) -> Subnet {
        network.region.subnets()[&network.subnet].clone()
    }

    #[test]
    fn a_subnet_has_one_table() {
        let mut network = Network::new();
        let (table, other) = (network.route_table(), network.route_table());
        let subnet = subnet(&network);
        let main = network.region.vpcs()[&network.vpc].main_route_table;
        assert_eq!(network.region.route_table_of(&subnet).id, main);
        network.apply(Change::AssociateRouteTable { table, subnet: subnet.id });
        assert_eq!(network.region.route_table_of(&subnet).id, table);
        for table in [table, other] {
            let fault = network.refused(Change::AssociateRouteTable { table, subnet: subnet.id });
            assert_eq!(fault, Fault::SubnetAlreadyAssociated { table, subnet: subnet.id });
        }
        let table = network.other_table();
        let fault = network.refused(Change::AssociateRouteTable { table, subnet: subnet.id });
        assert_eq!(fault.code(), "InvalidParameterValue");
    }

    #[test]
    fn a_subnet_changes_its_table() {
        let mut network = Network::new();
        let (table, other) = (network.route_table(), network.route_table());
        let subnet = subnet(&network);
        let first = associated(&mut network, Change::AssociateRouteTable { table, subnet: subnet.id });
        assert_eq!(network.refused(Change::DeleteRouteTable { table }).code(), "DependencyViolation");

        let apart = Change::ReplaceRouteTableAssociation { association: first, table: network.other_table() };
        assert_eq!(network.refused(apart).code(), "InvalidParameterValue");
        let replace = Change::ReplaceRouteTableAssociation { association: first, table: other };
        let second = associated(&mut network, replace.clone());
        assert_ne!(first, second);
        assert_eq!(network.region.route_table_of(&subnet).id, other);
        assert_eq!(network.refused(replace), Fault::RouteTableAssociationNotFound(first));
        network.apply(Change::DeleteRouteTable { table });

        network.apply(Change::DisassociateRouteTable { association: second });
        let main = network.region.vpcs()[&network.vpc].main_route_table;
        assert_eq!(network.region.route_table_of(&subnet).id, main);
        let again = network.refused(Change::DisassociateRouteTable { association: second });
        assert_eq!(again.code(), "InvalidAssociationID.NotFound");
    }

    #[test]
    fn a_vpc_changes_its_main_table() {
        let mut network = Network::new();
        let table = network.route_table();
        let before = network.region.vpcs()[&network.vpc].clone();
        let main = before.main_association;
        let fault = network.refused(Change::DisassociateRouteTable { association: main });
        assert_eq!(fault, InvalidValue::MainAssociation(main).into());
        let delete = Change::DeleteRouteTable { table: before.main_route_table };
        assert_eq!(network.refused(delete.clone()).code(), "DependencyViolation");
        let apart = Change::ReplaceRouteTableAssociation { association: main, table: network.other_table() };
        assert_eq!(network.refused(apart).code(), "InvalidParameterValue");

        let id = associated(&mut network, Change::ReplaceRouteTableAssociation { association: main, table });
        let after = &network.region.vpcs()[&network.vpc];
        assert_eq!((after.main_route_table, after.main_association), (table, id));
        assert_eq!(network.region.route_table_of(&subnet(&network)).id, table);
        network.apply(delete);
    }
}
