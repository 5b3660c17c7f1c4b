//! Images that are registered.

use crate::AMI;
use crate::api::Endpoint;

const SMALL: &str = "Name=small&ImageLocation=/srv/small.tar";

#[test]
fn images_come_and_go() {
    let api = Endpoint::new();
    let tags = "TagSpecification.1.ResourceType=image&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=b";
    assert_eq!(api.refused("RegisterImage", &format!("{SMALL}&DryRun=true")).1, "DryRunOperation");
    let image = api.fine("RegisterImage", &format!("{SMALL}&{tags}&Architecture=x86_64")).one("imageId");
    let shown = api.fine("DescribeImages", "Filter.1.Name=tag:a&Filter.1.Value.1=b&Owner.1=self");
    assert_eq!(shown.all("imageId"), [image.as_str()]);
    assert_eq!(
        (shown.one("imageLocation"), shown.one("imageState")),
        ("/srv/small.tar".into(), "available".into())
    );
    assert_eq!(api.fine("DescribeImages", "").all("imageId").len(), 2);
    assert!(api.fine("DescribeImages", "Owner.1=amazon").all("imageId").is_empty());

    let vpc = api.fine("CreateVpc", "CidrBlock=10.0.0.0/16").one("vpcId");
    let subnet = api.fine("CreateSubnet", &format!("VpcId={vpc}&CidrBlock=10.0.0.0/24")).one("subnetId");
    let launch = format!("ImageId={image}&MinCount=1&MaxCount=1&SubnetId={subnet}");
    assert_eq!(api.fine("RunInstances", &launch).one("imageId"), image);
    api.fine("DeregisterImage", &format!("ImageId={image}"));
    assert_eq!(api.refused("RunInstances", &launch).1, "InvalidAMIID.NotFound");
    assert_eq!(api.fine("DescribeInstances", "").one("imageId"), image);
    api.fine("RegisterImage", SMALL);
}

#[test]
fn refused() {
    let api = Endpoint::new();
    api.fine("RegisterImage", SMALL);
    for (form, code) in [
        (SMALL, "InvalidAMIName.Duplicate"),
        ("Name=a:b:c&ImageLocation=/srv/x", "InvalidAMIName.Malformed"),
        ("Name=other&ImageLocation=/none", "InvalidParameterValue"),
        ("Name=other&ImageLocation=/srv/x&Architecture=arm64", "InvalidParameterValue"),
        ("Name=other&ImageLocation=/srv/x&KernelId=aki-1", "UnsupportedOperation"),
        ("Name=other", "MissingParameter"),
        ("Name=other&ImageLocation=/full", "InternalError"),
    ] {
        assert_eq!(api.refused("RegisterImage", form).1, code, "{form}");
    }
    assert_eq!(api.region().images().len(), 1);
    for (id, code) in [
        (AMI, "UnsupportedOperation"),
        ("ami-0123456789abcdef0", "InvalidAMIID.NotFound"),
        ("ami-1", "InvalidAMIID.Malformed"),
    ] {
        assert_eq!(api.refused("DeregisterImage", &format!("ImageId={id}")).1, code);
    }
}
