//! The resource types that we carry out, with their properties and attributes.

/// A CloudFormation resource type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceType {
    /// `AWS::EC2::EIP`
    Eip,
    /// `AWS::EC2::EIPAssociation`
    EipAssociation,
    /// `AWS::EC2::Instance`
    Instance,
    /// `AWS::EC2::InternetGateway`
    InternetGateway,
    /// `AWS::EC2::Route`
    Route,
    /// `AWS::EC2::RouteTable`
    RouteTable,
    /// `AWS::EC2::SecurityGroup`
    SecurityGroup,
    /// `AWS::EC2::Subnet`
    Subnet,
    /// `AWS::EC2::SubnetRouteTableAssociation`
    SubnetRouteTableAssociation,
    /// `AWS::EC2::VPC`
    Vpc,
    /// `AWS::EC2::VPCGatewayAttachment`
    VpcGatewayAttachment,
    /// `AWS::EC2::NatGateway`
    NatGateway,
    /// `AWS::EC2::NetworkAcl`
    NetworkAcl,
    /// `AWS::EC2::NetworkAclEntry`
    NetworkAclEntry,
    /// `AWS::EC2::SubnetNetworkAclAssociation`
    SubnetNetworkAclAssociation,
    /// `AWS::EC2::VPCPeeringConnection`
    VpcPeeringConnection,
    /// `AWS::EC2::EgressOnlyInternetGateway`
    EgressOnlyInternetGateway,
    /// `AWS::EC2::GatewayRouteTableAssociation`
    GatewayRouteTableAssociation,
    /// `AWS::EC2::PrefixList`
    PrefixList,
    /// `AWS::EC2::SubnetCidrBlock`
    SubnetCidrBlock,
    /// `AWS::EC2::VPCCidrBlock`
    VpcCidrBlock,
    /// `AWS::EC2::DHCPOptions`
    DhcpOptions,
    /// `AWS::EC2::VPCDHCPOptionsAssociation`
    VpcDhcpOptionsAssociation,
    /// `AWS::EC2::KeyPair`
    KeyPair,
    /// `AWS::EC2::NetworkInterface`
    NetworkInterface,
    /// `AWS::EC2::NetworkInterfaceAttachment`
    NetworkInterfaceAttachment,
    /// `AWS::EC2::SecurityGroupEgress`
    SecurityGroupEgress,
    /// `AWS::EC2::SecurityGroupIngress`
    SecurityGroupIngress,
    /// `AWS::EC2::FlowLog`
    FlowLog,
}

impl ResourceType {
    /// All of them.
    pub(crate) const ALL: [Self; 29] = [
        Self::Eip,
        Self::EipAssociation,
        Self::Instance,
        Self::InternetGateway,
        Self::Route,
        Self::RouteTable,
        Self::SecurityGroup,
        Self::Subnet,
        Self::SubnetRouteTableAssociation,
        Self::Vpc,
        Self::VpcGatewayAttachment,
        Self::NatGateway,
        Self::NetworkAcl,
        Self::NetworkAclEntry,
        Self::SubnetNetworkAclAssociation,
        Self::VpcPeeringConnection,
        Self::EgressOnlyInternetGateway,
        Self::GatewayRouteTableAssociation,
        Self::PrefixList,
        Self::SubnetCidrBlock,
        Self::VpcCidrBlock,
        Self::DhcpOptions,
        Self::VpcDhcpOptionsAssociation,
        Self::KeyPair,
        Self::NetworkInterface,
        Self::NetworkInterfaceAttachment,
        Self::SecurityGroupEgress,
        Self::SecurityGroupIngress,
        Self::FlowLog,
    ];

    /// The type called so in templates.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The names of all types.
    pub(crate) fn names() -> Vec<&'static str> {
        Self::ALL.into_iter().map(Self::name).collect()
    }

    /// Its name in templates.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eip => "AWS::EC2::EIP",
            Self::EipAssociation => "AWS::EC2::EIPAssociation",
            Self::Instance => "AWS::EC2::Instance",
            Self::InternetGateway => "AWS::EC2::InternetGateway",
            Self::Route => "AWS::EC2::Route",
            Self::RouteTable => "AWS::EC2::RouteTable",
            Self::SecurityGroup => "AWS::EC2::SecurityGroup",
            Self::Subnet => "AWS::EC2::Subnet",
            Self::SubnetRouteTableAssociation => "AWS::EC2::SubnetRouteTableAssociation",
            Self::Vpc => "AWS::EC2::VPC",
            Self::VpcGatewayAttachment => "AWS::EC2::VPCGatewayAttachment",
            Self::NatGateway => "AWS::EC2::NatGateway",
            Self::NetworkAcl => "AWS::EC2::NetworkAcl",
            Self::NetworkAclEntry => "AWS::EC2::NetworkAclEntry",
            Self::SubnetNetworkAclAssociation => "AWS::EC2::SubnetNetworkAclAssociation",
            Self::VpcPeeringConnection => "AWS::EC2::VPCPeeringConnection",
            Self::EgressOnlyInternetGateway => "AWS::EC2::EgressOnlyInternetGateway",
            Self::GatewayRouteTableAssociation => "AWS::EC2::GatewayRouteTableAssociation",
            Self::PrefixList => "AWS::EC2::PrefixList",
            Self::SubnetCidrBlock => "AWS::EC2::SubnetCidrBlock",
            Self::VpcCidrBlock => "AWS::EC2::VPCCidrBlock",
            Self::DhcpOptions => "AWS::EC2::DHCPOptions",
            Self::VpcDhcpOptionsAssociation => "AWS::EC2::VPCDHCPOptionsAssociation",
            Self::KeyPair => "AWS::EC2::KeyPair",
            Self::NetworkInterface => "AWS::EC2::NetworkInterface",
            Self::NetworkInterfaceAttachment => "AWS::EC2::NetworkInterfaceAttachment",
            Self::SecurityGroupEgress => "AWS::EC2::SecurityGroupEgress",
            Self::SecurityGroupIngress => "AWS::EC2::SecurityGroupIngress",
            Self::FlowLog => "AWS::EC2::FlowLog",
        }
    }

    /// The properties that we carry out.
    pub(crate) fn properties(self) -> &'static [&'static str] {
        match self {
            Self::Eip => &["Domain", "InstanceId", "Tags"],
            Self::EipAssociation => &["AllocationId", "InstanceId", "NetworkInterfaceId", "PrivateIpAddress"],
            Self::Instance => &[
                "ImageId",
                "InstanceType",
                "SubnetId",
                "PrivateIpAddress",
                "SecurityGroupIds",
                "NetworkInterfaces",
                "SourceDestCheck",
                "UserData",
                "KeyName",
                "DisableApiTermination",
                "MetadataOptions",
                "Ipv6AddressCount",
                "Ipv6Addresses",
                "Tags",
            ],
            Self::InternetGateway => &["Tags"],
            Self::Route => &[
                "RouteTableId",
                "DestinationCidrBlock",
                "DestinationIpv6CidrBlock",
                "DestinationPrefixListId",
                "GatewayId",
                "InstanceId",
                "NetworkInterfaceId",
                "EgressOnlyInternetGatewayId",
                "NatGatewayId",
                "VpcPeeringConnectionId",
            ],
            Self::RouteTable => &["VpcId", "Tags"],
            Self::SecurityGroup => &[
                "GroupName",
                "GroupDescription",
                "VpcId",
                "SecurityGroupIngress",
                "SecurityGroupEgress",
                "Tags",
            ],
            Self::Subnet => &[
                "VpcId",
                "CidrBlock",
                "AvailabilityZone",
                "MapPublicIpOnLaunch",
                "Ipv6CidrBlock",
                "AssignIpv6AddressOnCreation",
                "EnableDns64",
                "Tags",
            ],
            Self::SubnetRouteTableAssociation => &["RouteTableId", "SubnetId"],
            Self::Vpc => &["CidrBlock", "EnableDnsSupport", "EnableDnsHostnames", "InstanceTenancy", "Tags"],
            Self::VpcGatewayAttachment => &["VpcId", "InternetGatewayId"],
            Self::NatGateway => &[
                "AllocationId",
                "ConnectivityType",
                "MaxDrainDurationSeconds",
                "PrivateIpAddress",
                "SecondaryAllocationIds",
                "SecondaryPrivateIpAddressCount",
                "SecondaryPrivateIpAddresses",
                "SubnetId",
                "Tags",
            ],
            Self::NetworkAcl => &["VpcId", "Tags"],
            Self::NetworkAclEntry => &[
                "CidrBlock",
                "Egress",
                "Icmp",
                "Ipv6CidrBlock",
                "NetworkAclId",
                "PortRange",
                "Protocol",
                "RuleAction",
                "RuleNumber",
            ],
            Self::SubnetNetworkAclAssociation => &["NetworkAclId", "SubnetId"],
            Self::VpcPeeringConnection => &["PeerOwnerId", "PeerRegion", "PeerVpcId", "Tags", "VpcId"],
            Self::EgressOnlyInternetGateway => &["VpcId", "Tags"],
            Self::GatewayRouteTableAssociation => &["GatewayId", "RouteTableId"],
            Self::PrefixList => &["PrefixListName", "AddressFamily", "MaxEntries", "Entries", "Tags"],
            Self::SubnetCidrBlock => &["SubnetId", "Ipv6CidrBlock"],
            Self::VpcCidrBlock => &["VpcId", "CidrBlock", "AmazonProvidedIpv6CidrBlock"],
            Self::DhcpOptions => &[
                "DomainName",
                "DomainNameServers",
                "Ipv6AddressPreferredLeaseTime",
                "NetbiosNameServers",
                "NetbiosNodeType",
                "NtpServers",
                "Tags",
            ],
            Self::VpcDhcpOptionsAssociation => &["DhcpOptionsId", "VpcId"],
            Self::KeyPair => &["KeyName", "PublicKeyMaterial", "Tags"],
            Self::NetworkInterface => &[
                "Description",
                "GroupSet",
                "Ipv4PrefixCount",
                "Ipv4Prefixes",
                "Ipv6AddressCount",
                "Ipv6Addresses",
                "Ipv6PrefixCount",
                "Ipv6Prefixes",
                "PrivateIpAddress",
                "PrivateIpAddresses",
                "SecondaryPrivateIpAddressCount",
                "SourceDestCheck",
                "SubnetId",
                "Tags",
            ],
            Self::NetworkInterfaceAttachment => {
                &["DeleteOnTermination", "DeviceIndex", "InstanceId", "NetworkInterfaceId"]
            }
            Self::SecurityGroupEgress => &[
                "GroupId",
                "IpProtocol",
                "FromPort",
                "ToPort",
                "CidrIp",
                "CidrIpv6",
                "DestinationPrefixListId",
                "DestinationSecurityGroupId",
                "Description",
            ],
            Self::SecurityGroupIngress => &[
                "GroupId",
                "IpProtocol",
                "FromPort",
                "ToPort",
                "CidrIp",
                "CidrIpv6",
                "SourcePrefixListId",
                "SourceSecurityGroupId",
                "Description",
            ],
            Self::FlowLog => &[
                "ResourceId",
                "ResourceType",
                "TrafficType",
                "LogDestinationType",
                "LogDestination",
                "LogFormat",
                "MaxAggregationInterval",
                "DestinationOptions",
                "Tags",
            ],
        }
    }

    /// The attributes that `Fn::GetAtt` can ask for.
    pub(crate) fn attributes(self) -> &'static [&'static str] {
        match self {
            Self::Eip => &["AllocationId", "PublicIp"],
            Self::EipAssociation | Self::SubnetRouteTableAssociation => &["Id"],
            Self::Instance => &[
                "AvailabilityZone",
                "InstanceId",
                "PrivateDnsName",
                "PrivateIp",
                "PublicDnsName",
                "PublicIp",
                "VpcId",
            ],
            Self::InternetGateway => &["InternetGatewayId"],
            Self::Route => &["CidrBlock"],
            Self::RouteTable => &["RouteTableId"],
            Self::SecurityGroup => &["GroupId", "VpcId"],
            Self::Subnet => &["AvailabilityZone", "CidrBlock", "Ipv6CidrBlocks", "SubnetId", "VpcId"],
            Self::Vpc => {
                &["CidrBlock", "DefaultNetworkAcl", "DefaultSecurityGroup", "Ipv6CidrBlocks", "VpcId"]
            }
            Self::VpcGatewayAttachment => &["AttachmentType"],
            Self::NatGateway => &["EniId", "NatGatewayId"],
            Self::NetworkAcl | Self::NetworkAclEntry | Self::VpcPeeringConnection => &["Id"],
            Self::SubnetNetworkAclAssociation => &["AssociationId"],
            Self::EgressOnlyInternetGateway | Self::SubnetCidrBlock | Self::VpcCidrBlock => &["Id"],
            Self::GatewayRouteTableAssociation => &["AssociationId"],
            Self::PrefixList => &["PrefixListId", "Version"],
            Self::DhcpOptions => &["DhcpOptionsId"],
            Self::VpcDhcpOptionsAssociation => &[],
            Self::KeyPair => &["KeyFingerprint", "KeyPairId"],
            Self::NetworkInterface => &[
                "Id",
                "PrimaryIpv6Address",
                "PrimaryPrivateIpAddress",
                "SecondaryPrivateIpAddresses",
                "VpcId",
            ],
            Self::NetworkInterfaceAttachment => &["AttachmentId"],
            Self::SecurityGroupEgress | Self::SecurityGroupIngress | Self::FlowLog => &["Id"],
        }
    }
}
