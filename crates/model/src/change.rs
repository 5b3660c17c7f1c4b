//! What can be asked of a region.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::dhcp_options::DhcpConfiguration;
use crate::flow_log::NewFlowLog;
use crate::id::{
    AllocationId, AssociationId, AttachmentId, DhcpOptionsId, EgressOnlyInternetGatewayId, FlowLogId,
    ImageId, InstanceId, InterfaceId, InternetGatewayId, KeyPairId, NatGatewayId, NetworkAclAssociationId,
    NetworkAclId, PrefixListId, RouteTableAssociationId, RouteTableId, SecurityGroupId, SecurityGroupRuleId,
    SubnetCidrAssociationId, SubnetCidrReservationId, SubnetId, VpcCidrAssociationId, VpcId,
    VpcPeeringConnectionId,
};
use crate::instance::{InstanceAttribute, InstanceState, Launch};
use crate::interface::{InterfaceAttribute, Ipv6Addresses, NewInterface, NewPrefixes, SecondaryAddresses};
use crate::nat_gateway::{NatGatewayState, NewNatGateway};
use crate::network_acl::AclEntry;
use crate::prefix_list::{AddressFamily, PrefixListEntry};
use crate::quota::Quotas;
use crate::route_table::{Destination, RouteVia};
use crate::rule::{Direction, Permission};
use crate::subnet::{ReservationType, SubnetIpv6Attribute};
use crate::tag::{TaggedResource, Tags};
use crate::vpc::VpcAttribute;

/// A change of a region's state. Named as EC2's actions are, where there is one. Gives `Applied::Nothing` where
/// nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A VPC, with its main route table and default security group. Gives `Applied::Vpc`.
    CreateVpc {
        /// /16 to /28; host bits are cleared.
        cidr: Ipv4Net,
        /// Its tags.
        tags: Tags,
    },
    /// Takes away a VPC, its main route table and its default security group. Nothing else may be in it.
    DeleteVpc {
        /// The VPC.
        vpc: VpcId,
    },
    /// Gives a VPC a secondary CIDR block. Gives `Applied::VpcCidrAssociation`.
    AssociateVpcCidrBlock {
        /// The VPC.
        vpc: VpcId,
        /// /16 to /28; host bits are cleared.
        cidr: Ipv4Net,
    },
    /// Takes a secondary CIDR block, or an IPv6 one, from a VPC.
    DisassociateVpcCidrBlock {
        /// Its association.
        association: VpcCidrAssociationId,
    },
    /// Changes one thing about a VPC's DNS.
    ModifyVpcAttribute {
        /// The VPC.
        vpc: VpcId,
        /// What is to change.
        attribute: VpcAttribute,
    },
    /// A subnet. Gives `Applied::Subnet`.
    CreateSubnet {
        /// The VPC it is a part of.
        vpc: VpcId,
        /// /16 to /28 inside the VPC's; host bits are cleared.
        cidr: Ipv4Net,
        /// Such as "eu-west-1b"; the region's first if none is asked for.
        availability_zone: Option<String>,
        /// Its tags.
        tags: Tags,
    },
    /// Changes what a subnet does for instances that are launched in it.
    ModifySubnetAttribute {
        /// The subnet.
        subnet: SubnetId,
        /// Whether they get a public address if they do not say otherwise.
        map_public_ip_on_launch: bool,
    },
    /// Takes away a subnet without interfaces.
    DeleteSubnet {
        /// The subnet.
        subnet: SubnetId,
    },
    /// An internet gateway that is attached to nothing. Gives `Applied::InternetGateway`.
    CreateInternetGateway {
        /// Its tags.
        tags: Tags,
    },
    /// Attaches an internet gateway to a VPC.
    AttachInternetGateway {
        /// The gateway.
        igw: InternetGatewayId,
        /// The VPC.
        vpc: VpcId,
    },
    /// Detaches an internet gateway. No interface of the VPC may have a public address.
    DetachInternetGateway {
        /// The gateway.
        igw: InternetGatewayId,
        /// The VPC it is attached to.
        vpc: VpcId,
    },
    /// Takes away an internet gateway that is attached to nothing. Routes to it stay, and drop.
    DeleteInternetGateway {
        /// The gateway.
        igw: InternetGatewayId,
    },
    /// A route table with the local route. Gives `Applied::RouteTable`.
    CreateRouteTable {
        /// The VPC it is for.
        vpc: VpcId,
        /// Its tags.
        tags: Tags,
    },
    /// Takes away a route table that is neither a subnet's nor the main one.
    DeleteRouteTable {
        /// The table.
        table: RouteTableId,
    },
    /// A route.
    CreateRoute {
        /// The table that gets it.
        table: RouteTableId,
        /// Where to; host bits are cleared.
        destination: Destination,
        /// By what.
        target: RouteVia,
    },
    /// Lets a route lead to something else.
    ReplaceRoute {
        /// The table that has it.
        table: RouteTableId,
        /// Where to; host bits are cleared.
        destination: Destination,
        /// By what from now on.
        target: RouteVia,
    },
    /// Takes away a route.
    DeleteRoute {
        /// The table that has it.
        table: RouteTableId,
        /// Where to; host bits are cleared.
        destination: Destination,
    },
    /// Gives a subnet its own route table. Gives `Applied::RouteTableAssociation`.
    AssociateRouteTable {
        /// The table.
        table: RouteTableId,
        /// The subnet.
        subnet: SubnetId,
    },
    /// Gives the subnet of an association, or the VPC if it is that of the main table, another table. Gives
    /// `Applied::RouteTableAssociation`.
    ReplaceRouteTableAssociation {
        /// The association as it is. It is gone afterwards.
        association: RouteTableAssociationId,
        /// The table to use from now on.
        table: RouteTableId,
    },
    /// Lets a subnet use the main route table again.
    DisassociateRouteTable {
        /// The association of the subnet with its table.
        association: RouteTableAssociationId,
    },
    /// A security group that lets everything out and nothing in. Gives `Applied::SecurityGroup`.
    CreateSecurityGroup {
        /// The VPC it is for.
        vpc: VpcId,
        /// Unlike that of any other group of the VPC.
        name: String,
        /// In words.
        description: String,
        /// Its tags.
        tags: Tags,
    },
    /// Takes away a security group that has no members, and that no other group's rules refer to.
    DeleteSecurityGroup {
        /// The group.
        group: SecurityGroupId,
    },
    /// A rule of a security group: EC2's AuthorizeSecurityGroupIngress and AuthorizeSecurityGroupEgress. Gives
    /// `Applied::SecurityGroupRule`.
    AuthorizeSecurityGroup {
        /// The group that gets it.
        group: SecurityGroupId,
        /// Whether it lets in or out.
        direction: Direction,
        /// What it lets through.
        rule: Permission,
    },
    /// Takes a rule from a security group: EC2's RevokeSecurityGroupIngress and RevokeSecurityGroupEgress.
    RevokeSecurityGroupRule {
        /// The group that has it.
        group: SecurityGroupId,
        /// The rule.
        rule: SecurityGroupRuleId,
    },
    /// Describes a rule of a security group anew: EC2's UpdateSecurityGroupRuleDescriptionsIngress and
    /// UpdateSecurityGroupRuleDescriptionsEgress.
    UpdateSecurityGroupRuleDescription {
        /// The group that has it.
        group: SecurityGroupId,
        /// The rule.
        rule: SecurityGroupRuleId,
        /// In words; none takes the description away.
        description: Option<String>,
    },
    /// Lets a rule of a security group allow something else to peers of the same kind. It keeps its id, its direction
    /// and its tags.
    ModifySecurityGroupRule {
        /// The group that has it.
        group: SecurityGroupId,
        /// The rule.
        rule: SecurityGroupRuleId,
        /// What it lets through from now on.
        permission: Permission,
    },
    /// An Elastic IP address. Gives `Applied::Address`.
    AllocateAddress {
        /// Which: the region has no pool of its own.
        public_ip: Ipv4Addr,
        /// Its tags.
        tags: Tags,
    },
    /// Maps an Elastic IP address to a private one. Asking again for what already is changes nothing. Gives
    /// `Applied::AddressAssociation`.
    AssociateAddress {
        /// The Elastic IP address.
        allocation: AllocationId,
        /// The interface that has the private address.
        interface: InterfaceId,
        /// The private address; the interface's primary one if none is asked for.
        private_ip: Option<Ipv4Addr>,
    },
    /// As [`Change::AssociateAddress`], even where the Elastic IP address is mapped to another private one, or the
    /// private one to another Elastic IP address: EC2's AllowReassociation. Gives `Applied::AddressAssociation`.
    ReassociateAddress {
        /// The Elastic IP address.
        allocation: AllocationId,
        /// The interface that has the private address.
        interface: InterfaceId,
        /// The private address; the interface's primary one if none is asked for.
        private_ip: Option<Ipv4Addr>,
    },
    /// Lets an Elastic IP address be mapped to nothing.
    DisassociateAddress {
        /// Its association.
        association: AssociationId,
    },
    /// Gives back an Elastic IP address that is mapped to nothing.
    ReleaseAddress {
        /// The address.
        allocation: AllocationId,
    },
    /// Gives an interface the public address that it waits for, which is no Elastic IP address: see
    /// [`awaits_public_address`](crate::Region::awaits_public_address). No action of EC2's: it is part of those that
    /// let an interface wait.
    AssignPublicAddress {
        /// The interface.
        interface: InterfaceId,
        /// Which: the region has no pool of its own.
        public_ip: Ipv4Addr,
    },
    /// A network interface that is attached to nothing. Gives `Applied::Interface`.
    CreateNetworkInterface(NewInterface),
    /// Takes away a network interface that is attached to nothing, and the public addresses from it. Routes to it
    /// stay, and drop.
    DeleteNetworkInterface {
        /// The interface.
        interface: InterfaceId,
    },
    /// Gives an instance that is running or stopped another interface. Gives `Applied::Attachment`.
    AttachNetworkInterface {
        /// The interface.
        interface: InterfaceId,
        /// The instance.
        instance: InstanceId,
        /// Which of the instance's interfaces it will be.
        device_index: u32,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// Takes an interface, but never the primary one, from an instance that is running or stopped.
    DetachNetworkInterface {
        /// What ties the two.
        attachment: AttachmentId,
    },
    /// Changes one thing about an interface.
    ModifyNetworkInterfaceAttribute {
        /// The interface.
        interface: InterfaceId,
        /// What, and what to.
        attribute: InterfaceAttribute,
    },
    /// Gives an interface more private addresses. Gives `Applied::PrivateAddresses`.
    AssignPrivateIpAddresses {
        /// The interface.
        interface: InterfaceId,
        /// How many, or which.
        addresses: SecondaryAddresses,
        /// Whether they may be taken from other interfaces of the subnet, if they are secondary there. Their public
        /// addresses come along.
        allow_reassignment: bool,
    },
    /// Takes secondary private addresses, and the public ones mapped to them, from an interface.
    UnassignPrivateIpAddresses {
        /// The interface.
        interface: InterfaceId,
        /// Which.
        addresses: Vec<Ipv4Addr>,
    },
    /// A public key by a name: EC2's ImportKeyPair, and CreateKeyPair for whoever made the pair. Gives
    /// `Applied::KeyPair`.
    ImportKeyPair {
        /// Unlike that of any other key pair of the region.
        name: String,
        /// As `authorized_keys` has it: type, base64, comment.
        public_key: String,
        /// Of the key, as EC2 shows it. Not looked into.
        fingerprint: String,
        /// When, in seconds since 1970.
        time: u64,
        /// Its tags.
        tags: Tags,
    },
    /// Takes away a key pair. Instances that were launched with it keep the public key.
    DeleteKeyPair {
        /// The key pair.
        key_pair: KeyPairId,
    },
    /// One launch of one or more instances, in state pending. Gives `Applied::Instances`.
    RunInstances(Launch),
    /// Starts a stopped instance. Gives `Applied::InstanceState`.
    StartInstance {
        /// The instance.
        instance: InstanceId,
        /// When, in seconds since 1970: its new launch time.
        time: u64,
    },
    /// Stops a running instance. Gives `Applied::InstanceState`.
    StopInstance {
        /// The instance.
        instance: InstanceId,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// Restarts a running instance: its count of reboots grows, its state stays.
    RebootInstance {
        /// The instance.
        instance: InstanceId,
    },
    /// Ends an instance. Gives `Applied::InstanceState`.
    TerminateInstance {
        /// The instance.
        instance: InstanceId,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// Changes one thing about an instance.
    ModifyInstanceAttribute {
        /// The instance.
        instance: InstanceId,
        /// What, and what to.
        attribute: InstanceAttribute,
    },
    /// Changes how the metadata service answers an instance.
    ModifyInstanceMetadataOptions {
        /// The instance.
        instance: InstanceId,
        /// 1 to 64; as before if none is asked for.
        hop_limit: Option<u8>,
        /// As before if it is not asked for.
        tokens_required: Option<bool>,
    },
    /// What happened to an instance's machine: it runs, does not run, or is gone for good. A machine that is gone leaves
    /// no interfaces behind but those that outlive it.
    SetInstanceState {
        /// The instance.
        instance: InstanceId,
        /// Its state from now on.
        state: InstanceState,
    },
    /// An instance's machine could not be started. One that is pending is terminated, or stopped if it has run before;
    /// one that is running stays so, and its status checks fail until it is said to run again.
    FailInstance {
        /// The instance.
        instance: InstanceId,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// Takes a terminated instance out of sight.
    ForgetInstance {
        /// The instance.
        instance: InstanceId,
    },
    /// Gives tags to resources, over those of the same keys.
    CreateTags {
        /// The resources.
        resources: Vec<TaggedResource>,
        /// The tags.
        tags: Tags,
    },
    /// Takes tags from resources.
    DeleteTags {
        /// The resources.
        resources: Vec<TaggedResource>,
        /// By key, or only where they have the value too. All of them if none is named.
        tags: BTreeMap<String, Option<String>>,
    },
    /// Gives a VPC an IPv6 CIDR block: EC2's AssociateVpcCidrBlock. Gives `Applied::VpcCidrAssociation`.
    AssociateVpcIpv6CidrBlock {
        /// The VPC.
        vpc: VpcId,
        /// Which /56: the region has no pool of its own. Host bits are cleared.
        cidr: Ipv6Net,
    },
    /// Gives a subnet an IPv6 CIDR block. Gives `Applied::SubnetCidrAssociation`.
    AssociateSubnetCidrBlock {
        /// The subnet.
        subnet: SubnetId,
        /// A /64 of the VPC's; host bits are cleared.
        cidr: Ipv6Net,
    },
    /// Takes a subnet's IPv6 CIDR block, which no interface has addresses of.
    DisassociateSubnetCidrBlock {
        /// Its association.
        association: SubnetCidrAssociationId,
    },
    /// Changes one thing about a subnet's IPv6 addresses: EC2's ModifySubnetAttribute.
    ModifySubnetIpv6Attribute {
        /// The subnet.
        subnet: SubnetId,
        /// What, and what to.
        attribute: SubnetIpv6Attribute,
    },
    /// Gives an interface more IPv6 addresses. Gives `Applied::Ipv6Addresses`.
    AssignIpv6Addresses {
        /// The interface.
        interface: InterfaceId,
        /// How many, or which.
        addresses: Ipv6Addresses,
    },
    /// Takes IPv6 addresses from an interface.
    UnassignIpv6Addresses {
        /// The interface.
        interface: InterfaceId,
        /// Which.
        addresses: Vec<Ipv6Addr>,
    },
    /// An egress-only internet gateway. Gives `Applied::EgressOnlyInternetGateway`.
    CreateEgressOnlyInternetGateway {
        /// The VPC it is attached to.
        vpc: VpcId,
        /// Its tags.
        tags: Tags,
    },
    /// Takes away an egress-only internet gateway. Routes to it stay, and drop.
    DeleteEgressOnlyInternetGateway {
        /// The gateway.
        gateway: EgressOnlyInternetGatewayId,
    },
    /// Lets what an internet gateway lets in go by a route table: EC2's AssociateRouteTable. Gives
    /// `Applied::RouteTableAssociation`.
    AssociateGatewayRouteTable {
        /// The table: local routes, and routes for whole subnets by an interface.
        table: RouteTableId,
        /// The gateway, attached to the table's VPC.
        gateway: InternetGatewayId,
    },
    /// A managed prefix list. Gives `Applied::PrefixList`.
    CreateManagedPrefixList {
        /// At most 255 characters.
        name: String,
        /// Of all its entries.
        family: AddressFamily,
        /// How many entries it can have.
        max_entries: u32,
        /// Its entries; host bits are cleared.
        entries: Vec<PrefixListEntry>,
        /// Its tags.
        tags: Tags,
    },
    /// Changes a managed prefix list: its name, and either its entries or how many there can be.
    ModifyManagedPrefixList {
        /// The list.
        list: PrefixListId,
        /// The version that it is thought to have; needed for its entries.
        current_version: Option<u64>,
        /// Its name from now on; as before if none is asked for.
        name: Option<String>,
        /// How many entries it can have from now on; as before if it is not asked for.
        max_entries: Option<u32>,
        /// New entries.
        add: Vec<PrefixListEntry>,
        /// Entries to be taken away.
        remove: Vec<IpNet>,
    },
    /// Gives a managed prefix list the entries that it had.
    RestoreManagedPrefixListVersion {
        /// The list.
        list: PrefixListId,
        /// The version that it is thought to have.
        current_version: u64,
        /// The version whose entries it gets.
        version: u64,
    },
    /// Takes away a managed prefix list that nothing refers to.
    DeleteManagedPrefixList {
        /// The list.
        list: PrefixListId,
    },
    /// A NAT gateway, in state pending, or failed where EC2 finds out only later. Gives `Applied::NatGateway`.
    CreateNatGateway(NewNatGateway),
    /// Lets a NAT gateway go, in state deleting.
    DeleteNatGateway {
        /// The gateway.
        gateway: NatGatewayId,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// Gives a public NAT gateway more Elastic IP addresses, each with a private address of its own.
    AssociateNatGatewayAddress {
        /// The gateway.
        gateway: NatGatewayId,
        /// The Elastic IP addresses.
        allocations: Vec<AllocationId>,
        /// As many private addresses; free ones if there are none.
        private_ips: Vec<Ipv4Addr>,
    },
    /// Lets Elastic IP addresses of a public NAT gateway take no new connections, and go when their time is over.
    DisassociateNatGatewayAddress {
        /// The gateway.
        gateway: NatGatewayId,
        /// The associations of the addresses, none of them the primary one's.
        associations: Vec<AssociationId>,
        /// How long connections may last, 1 to 4000 seconds.
        max_drain: u32,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// Gives a private NAT gateway more addresses. Gives `Applied::PrivateAddresses`.
    AssignPrivateNatGatewayAddress {
        /// The gateway.
        gateway: NatGatewayId,
        /// How many, or which.
        addresses: SecondaryAddresses,
    },
    /// Lets addresses of a private NAT gateway take no new connections, and go when their time is over.
    UnassignPrivateNatGatewayAddress {
        /// The gateway.
        gateway: NatGatewayId,
        /// The addresses, none of them the primary one.
        addresses: Vec<Ipv4Addr>,
        /// How long connections may last, 1 to 4000 seconds.
        max_drain: u32,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// What happened to a NAT gateway: one that was pending is available, or one that was deleting is deleted, and its
    /// interface with it.
    SetNatGatewayState {
        /// The gateway.
        gateway: NatGatewayId,
        /// Its state from now on.
        state: NatGatewayState,
    },
    /// Takes those addresses from a NAT gateway whose time is over.
    EndNatGatewayDrain {
        /// The gateway.
        gateway: NatGatewayId,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// Takes a NAT gateway that is deleted or has failed out of sight.
    ForgetNatGateway {
        /// The gateway.
        gateway: NatGatewayId,
    },
    /// A network ACL that lets nothing through. Gives `Applied::NetworkAcl`.
    CreateNetworkAcl {
        /// The VPC it is for.
        vpc: VpcId,
        /// Its tags.
        tags: Tags,
    },
    /// Takes away a network ACL that no subnet has, and that is not its VPC's default one.
    DeleteNetworkAcl {
        /// The network ACL.
        acl: NetworkAclId,
    },
    /// A rule of a network ACL.
    CreateNetworkAclEntry {
        /// The network ACL.
        acl: NetworkAclId,
        /// Whether it is about packets to or from the subnet.
        direction: Direction,
        /// 1 to 32766; lower ones are looked at first.
        number: u16,
        /// What it says.
        entry: AclEntry,
    },
    /// Lets a rule of a network ACL say something else.
    ReplaceNetworkAclEntry {
        /// The network ACL.
        acl: NetworkAclId,
        /// Whether it is about packets to or from the subnet.
        direction: Direction,
        /// Its number.
        number: u16,
        /// What it says from now on.
        entry: AclEntry,
    },
    /// Takes a rule from a network ACL.
    DeleteNetworkAclEntry {
        /// The network ACL.
        acl: NetworkAclId,
        /// Whether it is about packets to or from the subnet.
        direction: Direction,
        /// Its number.
        number: u16,
    },
    /// Gives the subnet of an association another network ACL. Gives `Applied::NetworkAclAssociation`.
    ReplaceNetworkAclAssociation {
        /// The association as it is. It is gone afterwards.
        association: NetworkAclAssociationId,
        /// The network ACL to use from now on.
        acl: NetworkAclId,
    },
    /// The wish to join two VPCs, which waits for a week to be accepted, or has failed where their addresses overlap.
    /// Gives `Applied::VpcPeeringConnection`.
    CreateVpcPeeringConnection {
        /// The VPC that asks.
        requester: VpcId,
        /// The VPC that is asked.
        accepter: VpcId,
        /// When, in seconds since 1970.
        time: u64,
        /// Its tags.
        tags: Tags,
    },
    /// Joins two VPCs.
    AcceptVpcPeeringConnection {
        /// The connection.
        connection: VpcPeeringConnectionId,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// Refuses to join two VPCs.
    RejectVpcPeeringConnection {
        /// The connection.
        connection: VpcPeeringConnectionId,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// Parts two VPCs, or takes back the wish to join them.
    DeleteVpcPeeringConnection {
        /// The connection.
        connection: VpcPeeringConnectionId,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// Ends the wish to join two VPCs that nobody accepted in time.
    ExpireVpcPeeringConnection {
        /// The connection.
        connection: VpcPeeringConnectionId,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// Takes a VPC peering connection that joins nothing any more out of sight.
    ForgetVpcPeeringConnection {
        /// The connection.
        connection: VpcPeeringConnectionId,
    },
    /// The region's default VPC: 172.31.0.0/16, a default subnet in each availability zone, an internet gateway and a
    /// route to it. Gives `Applied::Vpc`.
    CreateDefaultVpc,
    /// A subnet of the default VPC for an availability zone that has none. Gives `Applied::Subnet`.
    CreateDefaultSubnet {
        /// Such as "eu-west-1b".
        availability_zone: String,
    },
    /// A DHCP option set. Gives `Applied::DhcpOptions`.
    CreateDhcpOptions {
        /// What it says.
        configuration: DhcpConfiguration,
        /// Its tags.
        tags: Tags,
    },
    /// Gives a VPC a DHCP option set, or none. Machines notice when they renew their leases.
    AssociateDhcpOptions {
        /// The option set.
        options: Option<DhcpOptionsId>,
        /// The VPC.
        vpc: VpcId,
    },
    /// Takes away a DHCP option set that no VPC has.
    DeleteDhcpOptions {
        /// The option set.
        options: DhcpOptionsId,
    },
    /// How much there can be from now on. What there is more of stays.
    SetQuotas {
        /// All of them.
        quotas: Quotas,
    },
    /// A flow log. Gives `Applied::FlowLog`.
    CreateFlowLog(NewFlowLog),
    /// Ends a flow log. What it has written stays.
    DeleteFlowLog {
        /// The flow log.
        flow_log: FlowLogId,
    },
    /// Reserves addresses of a subnet. Gives `Applied::SubnetCidrReservation`.
    CreateSubnetCidrReservation {
        /// The subnet.
        subnet: SubnetId,
        /// Of the subnet's CIDR block; host bits are cleared.
        cidr: IpNet,
        /// What it is for.
        reservation_type: ReservationType,
        /// In words.
        description: String,
        /// Its tags.
        tags: Tags,
    },
    /// Takes away a reservation. Who has addresses of it keeps them.
    DeleteSubnetCidrReservation {
        /// The reservation.
        reservation: SubnetCidrReservationId,
    },
    /// Gives an interface prefixes: EC2's AssignPrivateIpAddresses and AssignIpv6Addresses. Gives `Applied::Prefixes`.
    AssignPrefixes {
        /// The interface.
        interface: InterfaceId,
        /// How many, or which.
        prefixes: NewPrefixes,
    },
    /// Takes prefixes from an interface: EC2's UnassignPrivateIpAddresses and UnassignIpv6Addresses.
    UnassignPrefixes {
        /// The interface.
        interface: InterfaceId,
        /// Which.
        prefixes: Vec<IpNet>,
    },
    /// A machine image. Gives `Applied::Image`.
    RegisterImage {
        /// Unlike that of any other image of the region.
        name: String,
        /// In words.
        description: Option<String>,
        /// What it is made of. Not looked into.
        location: String,
        /// As EC2 calls it, such as "x86_64". Not looked into.
        architecture: String,
        /// When, in seconds since 1970.
        time: u64,
        /// Its tags.
        tags: Tags,
    },
    /// Takes away a machine image. Instances that run it go on.
    DeregisterImage {
        /// The image.
        image: ImageId,
    },
}
