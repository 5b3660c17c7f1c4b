//! Taking away what resources have become.

use model::{
    AllocationId, Change, Fault, InstanceState, NatGatewayId, NatGatewayState, PeeringStatus, VpcId,
    VpcPeeringConnectionId,
};

use super::{Cloud, PhysicalId};

/// Takes a resource away. One that is gone already is no error.
///
/// # Errors
/// The region's refusal.
pub(super) fn remove(cloud: &mut dyn Cloud, physical: &PhysicalId) -> Result<(), Fault> {
    let mut remover = Remover { cloud };
    match remover.remove(physical) {
        Err(fault) if fault.code().ends_with("NotFound") => Ok(()),
        removed => removed,
    }
}

struct Remover<'c> {
    cloud: &'c mut dyn Cloud,
}

impl Remover<'_> {
    fn remove(&mut self, physical: &PhysicalId) -> Result<(), Fault> {
        let time = self.cloud.time();
        let change = match physical {
            PhysicalId::Address { allocation, .. } => return self.address(*allocation),
            PhysicalId::AddressAssociation(association) => {
                Change::DisassociateAddress { association: *association }
            }
            PhysicalId::Instance(instance) => {
                self.apply(Change::TerminateInstance { instance: *instance, time })?;
                // Nothing that it stood on could go with it if it took its time.
                Change::SetInstanceState { instance: *instance, state: InstanceState::Terminated }
            }
            PhysicalId::InternetGateway(igw) => Change::DeleteInternetGateway { igw: *igw },
            PhysicalId::Route { table, destination } => {
                Change::DeleteRoute { table: *table, destination: *destination }
            }
            PhysicalId::RouteTable(table) => Change::DeleteRouteTable { table: *table },
            PhysicalId::SecurityGroup(group) => Change::DeleteSecurityGroup { group: *group },
            PhysicalId::Subnet(subnet) => Change::DeleteSubnet { subnet: *subnet },
            PhysicalId::RouteTableAssociation(association) => {
                Change::DisassociateRouteTable { association: *association }
            }
            PhysicalId::Vpc(vpc) => Change::DeleteVpc { vpc: *vpc },
            PhysicalId::GatewayAttachment(vpc) => return self.gateway_attachment(*vpc),
            PhysicalId::NatGateway(gateway) => return self.nat_gateway(*gateway, time),
            PhysicalId::NetworkAcl(acl) => Change::DeleteNetworkAcl { acl: *acl },
            PhysicalId::NetworkAclEntry { acl, egress, number } => {
                let direction = if *egress { model::Direction::Egress } else { model::Direction::Ingress };
                Change::DeleteNetworkAclEntry { acl: *acl, direction, number: *number }
            }
            PhysicalId::NetworkAclAssociation(association) => {
                let region = self.cloud.region();
                let subnet = region.subnets().values().find(|subnet| subnet.network_acl.id == *association);
                let vpc = subnet.and_then(|subnet| region.vpcs().get(&subnet.vpc));
                // The subnet is gone, or has another one since.
                let Some(vpc) = vpc else { return Ok(()) };
                let acl = vpc.default_network_acl;
                Change::ReplaceNetworkAclAssociation { association: *association, acl }
            }
            PhysicalId::VpcPeeringConnection(connection) => return self.peering(*connection, time),
            PhysicalId::EgressOnlyInternetGateway(gateway) => {
                Change::DeleteEgressOnlyInternetGateway { gateway: *gateway }
            }
            PhysicalId::PrefixList(list) => Change::DeleteManagedPrefixList { list: *list },
            PhysicalId::SubnetCidrAssociation(association) => {
                Change::DisassociateSubnetCidrBlock { association: *association }
            }
            PhysicalId::VpcCidrAssociation(association) => {
                Change::DisassociateVpcCidrBlock { association: *association }
            }
            PhysicalId::Interface(interface) => Change::DeleteNetworkInterface { interface: *interface },
            PhysicalId::InterfaceAttachment(attachment) => {
                Change::DetachNetworkInterface { attachment: *attachment }
            }
            PhysicalId::SecurityGroupRule { group, rule } => {
                Change::RevokeSecurityGroupRule { group: *group, rule: *rule }
            }
            PhysicalId::DhcpOptions(options) => Change::DeleteDhcpOptions { options: *options },
            PhysicalId::DhcpOptionsAssociation { options, vpc } => {
                let own = self.cloud.region().vpcs().get(vpc);
                // The VPC is gone, or has another one since.
                if own.is_none_or(|vpc| vpc.dhcp_options != *options) {
                    return Ok(());
                }
                Change::AssociateDhcpOptions { options: None, vpc: *vpc }
            }
            PhysicalId::KeyPair { id, .. } => Change::DeleteKeyPair { key_pair: *id },
            PhysicalId::FlowLog(flow_log) => Change::DeleteFlowLog { flow_log: *flow_log },
        };
        self.apply(change)
    }

    fn apply(&mut self, change: Change) -> Result<(), Fault> {
        self.cloud.apply(change).map(drop)
    }

    /// An Elastic IP's own property may have mapped it.
    fn address(&mut self, allocation: AllocationId) -> Result<(), Fault> {
        let address = self.cloud.region().addresses().get(&allocation);
        if let Some(association) = address.and_then(|address| address.association.as_ref()) {
            let association = association.id;
            self.apply(Change::DisassociateAddress { association })?;
        }
        self.apply(Change::ReleaseAddress { allocation })
    }

    fn gateway_attachment(&mut self, vpc: VpcId) -> Result<(), Fault> {
        let mut gateways = self.cloud.region().internet_gateways().values();
        match gateways.find(|gateway| gateway.vpc == Some(vpc)).map(|gateway| gateway.id) {
            Some(igw) => self.apply(Change::DetachInternetGateway { igw, vpc }),
            None => Ok(()),
        }
    }

    fn nat_gateway(&mut self, gateway: NatGatewayId, time: u64) -> Result<(), Fault> {
        self.apply(Change::DeleteNatGateway { gateway, time })?;
        let state = self.cloud.region().nat_gateways().get(&gateway).map(|gateway| gateway.state);
        match state {
            Some(NatGatewayState::Deleting) => {
                self.apply(Change::SetNatGatewayState { gateway, state: NatGatewayState::Deleted })
            }
            _ => Ok(()),
        }
    }

    fn peering(&mut self, connection: VpcPeeringConnectionId, time: u64) -> Result<(), Fault> {
        let status = self.cloud.region().vpc_peering_connections().get(&connection).map(|own| own.status);
        match status {
            Some(PeeringStatus::Active | PeeringStatus::PendingAcceptance) => {
                self.apply(Change::DeleteVpcPeeringConnection { connection, time })
            }
            _ => Ok(()),
        }
    }
}
