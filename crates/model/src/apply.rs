//! Which rule answers which change.

use crate::applied::Applied;
use crate::change::Change;
use crate::fault::Fault;
use crate::region::Region;

impl Region {
    /// Makes one change.
    ///
    /// # Errors
    /// The [`Fault`] that EC2 would answer. The region is then as it was.
    pub fn apply(&mut self, change: Change) -> Result<Applied, Fault> {
        let applied = match change {
            Change::CreateVpc { cidr, tags } => Applied::Vpc(self.create_vpc(cidr, tags)?),
            Change::DeleteVpc { vpc } => done(self.delete_vpc(vpc)?),
            Change::ModifyVpcAttribute { vpc, attribute } => done(self.modify_vpc_attribute(vpc, attribute)?),
            Change::AssociateVpcCidrBlock { vpc, cidr } => {
                Applied::VpcCidrAssociation(self.associate_vpc_cidr_block(vpc, cidr)?)
            }
            Change::DisassociateVpcCidrBlock { association } => {
                done(self.disassociate_vpc_cidr_block(association)?)
            }
            Change::CreateSubnet { vpc, cidr, availability_zone, tags } => {
                Applied::Subnet(self.create_subnet(vpc, cidr, availability_zone, tags)?)
            }
            Change::ModifySubnetAttribute { subnet, map_public_ip_on_launch } => {
                done(self.modify_subnet_attribute(subnet, map_public_ip_on_launch)?)
            }
            Change::DeleteSubnet { subnet } => done(self.delete_subnet(subnet)?),
            Change::CreateInternetGateway { tags } => {
                Applied::InternetGateway(self.create_internet_gateway(tags)?)
            }
            Change::AttachInternetGateway { igw, vpc } => done(self.attach_internet_gateway(igw, vpc)?),
            Change::DetachInternetGateway { igw, vpc } => done(self.detach_internet_gateway(igw, vpc)?),
            Change::DeleteInternetGateway { igw } => done(self.delete_internet_gateway(igw)?),
            Change::CreateRouteTable { vpc, tags } => {
                Applied::RouteTable(self.create_route_table(vpc, tags)?)
            }
            Change::DeleteRouteTable { table } => done(self.delete_route_table(table)?),
            Change::CreateRoute { table, destination, target } => {
                done(self.create_route(table, destination, target)?)
            }
            Change::ReplaceRoute { table, destination, target } => {
                done(self.replace_route(table, destination, target)?)
            }
            Change::DeleteRoute { table, destination } => done(self.delete_route(table, destination)?),
            Change::AssociateRouteTable { table, subnet } => {
                Applied::RouteTableAssociation(self.associate_route_table(table, subnet)?)
            }
            Change::ReplaceRouteTableAssociation { association, table } => {
                Applied::RouteTableAssociation(self.replace_route_table_association(association, table)?)
            }
            Change::DisassociateRouteTable { association } => {
                done(self.disassociate_route_table(association)?)
            }
            Change::CreateSecurityGroup { vpc, name, description, tags } => {
                Applied::SecurityGroup(self.create_security_group(vpc, name, description, tags)?)
            }
            Change::DeleteSecurityGroup { group } => done(self.delete_security_group(group)?),
            Change::AuthorizeSecurityGroup { group, direction, rule } => {
                Applied::SecurityGroupRule(self.authorize_security_group(group, direction, rule)?)
            }
            Change::RevokeSecurityGroupRule { group, rule } => {
                done(self.revoke_security_group_rule(group, rule)?)
            }
            Change::UpdateSecurityGroupRuleDescription { group, rule, description } => {
                done(self.update_security_group_rule_description(group, rule, description)?)
            }
            Change::ModifySecurityGroupRule { group, rule, permission } => {
                done(self.modify_security_group_rule(group, rule, permission)?)
            }
            Change::AllocateAddress { public_ip, tags } => {
                Applied::Address(self.allocate_address(public_ip, tags)?)
            }
            Change::AssociateAddress { allocation, interface, private_ip } => {
                Applied::AddressAssociation(self.associate_address(allocation, interface, private_ip, false)?)
            }
            Change::ReassociateAddress { allocation, interface, private_ip } => {
                Applied::AddressAssociation(self.associate_address(allocation, interface, private_ip, true)?)
            }
            Change::DisassociateAddress { association } => done(self.disassociate_address(association)?),
            Change::ReleaseAddress { allocation } => done(self.release_address(allocation)?),
            Change::AssignPublicAddress { interface, public_ip } => {
                done(self.assign_public_address(interface, public_ip)?)
            }
            Change::CreateNetworkInterface(new) => Applied::Interface(self.create_network_interface(new)?),
            Change::DeleteNetworkInterface { interface } => done(self.delete_network_interface(interface)?),
            Change::AttachNetworkInterface { interface, instance, device_index, time } => {
                Applied::Attachment(self.attach_network_interface(interface, instance, device_index, time)?)
            }
            Change::DetachNetworkInterface { attachment } => done(self.detach_network_interface(attachment)?),
            Change::ModifyNetworkInterfaceAttribute { interface, attribute } => {
                done(self.modify_network_interface_attribute(interface, attribute)?)
            }
            Change::AssignPrivateIpAddresses { interface, addresses, allow_reassignment } => {
                Applied::PrivateAddresses(self.assign_private_ip_addresses(
                    interface,
                    addresses,
                    allow_reassignment,
                )?)
            }
            Change::UnassignPrivateIpAddresses { interface, addresses } => {
                done(self.unassign_private_ip_addresses(interface, addresses)?)
            }
            Change::ImportKeyPair { name, public_key, fingerprint, time, tags } => {
                Applied::KeyPair(self.import_key_pair(name, public_key, fingerprint, time, tags)?)
            }
            Change::DeleteKeyPair { key_pair } => done(self.delete_key_pair(key_pair)?),
            Change::RunInstances(launch) => {
                let (reservation, instances) = self.run_instances(launch)?;
                Applied::Instances { reservation, instances }
            }
            Change::StartInstance { instance, time } => self.start_instance(instance, time)?,
            Change::StopInstance { instance, time } => self.stop_instance(instance, time)?,
            Change::RebootInstance { instance } => done(self.reboot_instance(instance)?),
            Change::TerminateInstance { instance, time } => self.terminate_instance(instance, time)?,
            Change::ModifyInstanceAttribute { instance, attribute } => {
                done(self.modify_instance_attribute(instance, attribute)?)
            }
            Change::ModifyInstanceMetadataOptions { instance, hop_limit, tokens_required } => {
                done(self.modify_instance_metadata_options(instance, hop_limit, tokens_required)?)
            }
            Change::SetInstanceState { instance, state } => done(self.set_instance_state(instance, state)?),
            Change::FailInstance { instance, time } => done(self.fail_instance(instance, time)?),
            Change::ForgetInstance { instance } => done(self.forget_instance(instance)?),
            Change::CreateTags { resources, tags } => done(self.create_tags(&resources, &tags)?),
            Change::DeleteTags { resources, tags } => done(self.delete_tags(&resources, &tags)?),
            Change::AssociateVpcIpv6CidrBlock { vpc, cidr } => {
                Applied::VpcCidrAssociation(self.associate_vpc_ipv6_cidr_block(vpc, cidr)?)
            }
            Change::AssociateSubnetCidrBlock { subnet, cidr } => {
                Applied::SubnetCidrAssociation(self.associate_subnet_cidr_block(subnet, cidr)?)
            }
            Change::DisassociateSubnetCidrBlock { association } => {
                done(self.disassociate_subnet_cidr_block(association)?)
            }
            Change::ModifySubnetIpv6Attribute { subnet, attribute } => {
                done(self.modify_subnet_ipv6_attribute(subnet, attribute)?)
            }
            Change::AssignIpv6Addresses { interface, addresses } => {
                Applied::Ipv6Addresses(self.assign_ipv6_addresses(interface, &addresses)?)
            }
            Change::UnassignIpv6Addresses { interface, addresses } => {
                done(self.unassign_ipv6_addresses(interface, &addresses)?)
            }
            Change::CreateEgressOnlyInternetGateway { vpc, tags } => {
                Applied::EgressOnlyInternetGateway(self.create_egress_only_internet_gateway(vpc, tags)?)
            }
            Change::DeleteEgressOnlyInternetGateway { gateway } => {
                done(self.delete_egress_only_internet_gateway(gateway)?)
            }
            Change::AssociateGatewayRouteTable { table, gateway } => {
                Applied::RouteTableAssociation(self.associate_gateway_route_table(table, gateway)?)
            }
            Change::CreateManagedPrefixList { name, family, max_entries, entries, tags } => {
                Applied::PrefixList(self.create_managed_prefix_list(
                    name,
                    family,
                    max_entries,
                    entries,
                    tags,
                )?)
            }
            Change::ModifyManagedPrefixList { list, current_version, name, max_entries, add, remove } => {
                let entries = (add, remove);
                done(self.modify_managed_prefix_list(list, current_version, name, max_entries, entries)?)
            }
            Change::RestoreManagedPrefixListVersion { list, current_version, version } => {
                done(self.restore_managed_prefix_list_version(list, current_version, version)?)
            }
            Change::DeleteManagedPrefixList { list } => done(self.delete_managed_prefix_list(list)?),
            Change::CreateNatGateway(new) => Applied::NatGateway(self.create_nat_gateway(new)?),
            Change::DeleteNatGateway { gateway, time } => done(self.delete_nat_gateway(gateway, time)?),
            Change::AssociateNatGatewayAddress { gateway, allocations, private_ips } => {
                done(self.associate_nat_gateway_address(gateway, &allocations, private_ips)?)
            }
            Change::DisassociateNatGatewayAddress { gateway, associations, max_drain, time } => {
                done(self.disassociate_nat_gateway_address(gateway, &associations, max_drain, time)?)
            }
            Change::AssignPrivateNatGatewayAddress { gateway, addresses } => {
                Applied::PrivateAddresses(self.assign_private_nat_gateway_address(gateway, addresses)?)
            }
            Change::UnassignPrivateNatGatewayAddress { gateway, addresses, max_drain, time } => {
                done(self.unassign_private_nat_gateway_address(gateway, &addresses, max_drain, time)?)
            }
            Change::SetNatGatewayState { gateway, state } => {
                done(self.set_nat_gateway_state(gateway, state)?)
            }
            Change::EndNatGatewayDrain { gateway, time } => done(self.end_nat_gateway_drain(gateway, time)?),
            Change::ForgetNatGateway { gateway } => done(self.forget_nat_gateway(gateway)?),
            Change::CreateNetworkAcl { vpc, tags } => {
                Applied::NetworkAcl(self.create_network_acl(vpc, tags)?)
            }
            Change::DeleteNetworkAcl { acl } => done(self.delete_network_acl(acl)?),
            Change::CreateNetworkAclEntry { acl, direction, number, entry } => {
                done(self.create_network_acl_entry(acl, direction, number, entry)?)
            }
            Change::ReplaceNetworkAclEntry { acl, direction, number, entry } => {
                done(self.replace_network_acl_entry(acl, direction, number, entry)?)
            }
            Change::DeleteNetworkAclEntry { acl, direction, number } => {
                done(self.delete_network_acl_entry(acl, direction, number)?)
            }
            Change::ReplaceNetworkAclAssociation { association, acl } => {
                Applied::NetworkAclAssociation(self.replace_network_acl_association(association, acl)?)
            }
            Change::CreateVpcPeeringConnection { requester, accepter, time, tags } => {
                let connection = self.create_vpc_peering_connection(requester, accepter, time, tags)?;
                Applied::VpcPeeringConnection(connection)
            }
            Change::AcceptVpcPeeringConnection { connection, time } => {
                done(self.accept_vpc_peering_connection(connection, time)?)
            }
            Change::RejectVpcPeeringConnection { connection, time } => {
                done(self.reject_vpc_peering_connection(connection, time)?)
            }
            Change::DeleteVpcPeeringConnection { connection, time } => {
                done(self.delete_vpc_peering_connection(connection, time)?)
            }
            Change::ExpireVpcPeeringConnection { connection, time } => {
                done(self.expire_vpc_peering_connection(connection, time)?)
            }
            Change::ForgetVpcPeeringConnection { connection } => {
                done(self.forget_vpc_peering_connection(connection)?)
            }
            Change::CreateDefaultVpc => Applied::Vpc(self.create_default_vpc()?),
            Change::CreateDefaultSubnet { availability_zone } => {
                Applied::Subnet(self.create_default_subnet(availability_zone)?)
            }
            Change::CreateDhcpOptions { configuration, tags } => {
                Applied::DhcpOptions(self.create_dhcp_options(configuration, tags)?)
            }
            Change::AssociateDhcpOptions { options, vpc } => done(self.associate_dhcp_options(options, vpc)?),
            Change::DeleteDhcpOptions { options } => done(self.delete_dhcp_options(options)?),
            Change::SetQuotas { quotas } => {
                self.quotas = quotas;
                Applied::Nothing
            }
            Change::CreateFlowLog(wanted) => Applied::FlowLog(self.create_flow_log(wanted)?),
            Change::DeleteFlowLog { flow_log } => done(self.delete_flow_log(flow_log)?),
            Change::CreateSubnetCidrReservation { subnet, cidr, reservation_type, description, tags } => {
                Applied::SubnetCidrReservation(self.create_subnet_cidr_reservation(
                    subnet,
                    cidr,
                    reservation_type,
                    description,
                    tags,
                )?)
            }
            Change::DeleteSubnetCidrReservation { reservation } => {
                done(self.delete_subnet_cidr_reservation(reservation)?)
            }
            Change::AssignPrefixes { interface, prefixes } => {
                Applied::Prefixes(self.assign_prefixes(interface, &prefixes)?)
            }
            Change::UnassignPrefixes { interface, prefixes } => {
                done(self.unassign_prefixes(interface, &prefixes)?)
            }
            Change::RegisterImage { name, description, location, architecture, time, tags } => {
                Applied::Image(self.register_image(name, description, location, architecture, time, tags)?)
            }
            Change::DeregisterImage { image } => done(self.deregister_image(image)?),
        };
        self.generation += 1;
        Ok(applied)
    }
}

/// What a change comes to that makes nothing with an id.
fn done((): ()) -> Applied {
    Applied::Nothing
}
