//! What every client asks about, and nobody has.

use crate::AMI;
use crate::api::Endpoint;

#[test]
fn there_is_none_of_them() {
    let api = Endpoint::new();
    for (action, id, filter, missing, malformed) in [
        (
            "DescribeVpnGateways",
            "VpnGatewayId.1=vgw",
            "attachment.vpc-id",
            "InvalidVpnGatewayID.NotFound",
            "InvalidVpnGatewayID.Malformed",
        ),
        (
            "DescribeCustomerGateways",
            "CustomerGatewayId.1=cgw",
            "tag:Name",
            "InvalidCustomerGatewayID.NotFound",
            "InvalidCustomerGatewayId.Malformed",
        ),
        (
            "DescribeVpnConnections",
            "VpnConnectionId.1=vpn",
            "vpn-gateway-id",
            "InvalidVpnConnectionID.NotFound",
            "InvalidVpnConnectionID.Malformed",
        ),
        (
            "DescribeVpcEndpoints",
            "VpcEndpointId.1=vpce",
            "service-name",
            "InvalidVpcEndpointId.NotFound",
            "InvalidVpcEndpointId.Malformed",
        ),
        (
            "DescribeVolumes",
            "VolumeId.1=vol",
            "attachment.instance-id",
            "InvalidVolume.NotFound",
            "InvalidVolumeID.Malformed",
        ),
        (
            "DescribeIamInstanceProfileAssociations",
            "AssociationId.1=iip-assoc",
            "instance-id",
            "InvalidAssociationID.NotFound",
            "InvalidAssociationID.Malformed",
        ),
    ] {
        let all = api.fine(action, &format!("Filter.1.Name={filter}&Filter.1.Value.1=x&MaxResults=5"));
        assert_eq!(all.ids().len(), 0, "{action}");
        let unknown = api.refused(action, "Filter.1.Name=nonsense&Filter.1.Value.1=x");
        assert_eq!(unknown, (400, "InvalidParameterValue".into()), "{action}");
        assert_eq!(api.refused(action, &format!("{id}-0123456789abcdef0")), (400, missing.into()));
        assert_eq!(api.refused(action, &format!("{id}-nonsense")), (400, malformed.into()));
        assert_eq!(api.refused(action, &format!("{id}-0123456789abcdef0&MaxResults=5")).0, 400);
    }
    api.fine("DescribeVpcEndpointServices", "Filter.1.Name=service-type&Filter.1.Value.1=Gateway");
    let named = "ServiceName.1=com.amazonaws.eu-west-1.s3";
    assert_eq!(api.refused("DescribeVpcEndpointServices", named).1, "InvalidServiceName");
}

#[test]
fn elastic_ips_have_no_names() {
    let api = Endpoint::new();
    let allocation = api.fine("AllocateAddress", "").one("allocationId");
    let form = format!("AllocationId.1={allocation}&Attribute=domain-name");
    let shown = api.fine("DescribeAddressesAttribute", &form);
    assert_eq!((shown.one("allocationId"), shown.all("ptrRecord").len()), (allocation, 0));
    let missing = api.refused("DescribeAddressesAttribute", "AllocationId.1=eipalloc-0123456789abcdef0");
    assert_eq!(missing.1, "InvalidAllocationID.NotFound");
}

#[test]
fn tags_of_volumes_are_looked_at() {
    let api = Endpoint::new();
    let vpc = api.fine("CreateVpc", "CidrBlock=10.0.0.0/16").one("vpcId");
    let subnet = api.fine("CreateSubnet", &format!("VpcId={vpc}&CidrBlock=10.0.0.0/24")).one("subnetId");
    let launch = |kind: &str, key: &str| {
        let tag = format!("TagSpecification.1.ResourceType={kind}&TagSpecification.1.Tag.1.Key={key}");
        let again = format!("TagSpecification.2.ResourceType={kind}&TagSpecification.2.Tag.1.Key=Name");
        format!("ImageId={AMI}&MinCount=1&MaxCount=1&SubnetId={subnet}&{tag}&{again}")
    };
    api.fine("RunInstances", &launch("volume", "a"));
    assert!(api.fine("DescribeTags", "").all("key").is_empty());
    assert_eq!(api.refused("RunInstances", &launch("volume", "Name")).1, "InvalidParameterValue");
    assert_eq!(
        api.refused("RunInstances", &launch("spot-instances-request", "a")).1,
        "InvalidParameterValue"
    );
}
