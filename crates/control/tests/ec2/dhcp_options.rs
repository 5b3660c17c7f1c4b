//! DHCP option sets.

use crate::api::Endpoint;
use crate::network;

const CORP: &str = "DhcpConfiguration.1.Key=domain-name&DhcpConfiguration.1.Value.1=corp.example&\
    DhcpConfiguration.2.Key=domain-name-servers&DhcpConfiguration.2.Value.1=10.0.0.53&\
    DhcpConfiguration.2.Value.2=AmazonProvidedDNS&\
    DhcpConfiguration.3.Key=ntp-servers&DhcpConfiguration.3.Value.1=10.0.0.123,fd00:ec2::123&\
    DhcpConfiguration.4.Key=netbios-node-type&DhcpConfiguration.4.Value.1=2&\
    TagSpecification.1.ResourceType=dhcp-options&TagSpecification.1.Tag.1.Key=Name&\
    TagSpecification.1.Tag.1.Value=corp";

#[test]
fn a_vpc_gets_another_set_and_none() {
    let api = Endpoint::new();
    let (vpc, _) = network(&api);
    let default = api.fine("DescribeVpcs", "").one("dhcpOptionsId");
    let shown = api.fine("DescribeDhcpOptions", &format!("DhcpOptionsId.1={default}"));
    assert_eq!(shown.all("key"), ["domain-name", "domain-name-servers"]);
    assert_eq!(shown.all("value"), ["eu-west-1.compute.internal", "AmazonProvidedDNS"]);

    let dry = api.refused("CreateDhcpOptions", &format!("{CORP}&DryRun=true"));
    assert_eq!((dry, api.region().dhcp_options().len()), ((412, "DryRunOperation".into()), 1));
    let made = api.fine("CreateDhcpOptions", CORP);
    let corp = made.one("dhcpOptionsId");
    let values =
        ["corp.example", "10.0.0.53", "AmazonProvidedDNS", "10.0.0.123", "fd00:ec2::123", "2", "corp"];
    assert_eq!(made.all("value"), values);
    let associate = |options: &str| format!("DhcpOptionsId={options}&VpcId={vpc}");
    assert_eq!(api.fine("AssociateDhcpOptions", &associate(&corp)).one("return"), "true");
    let of_vpc = format!("Filter.1.Name=dhcp-options-id&Filter.1.Value.1={corp}");
    assert_eq!(api.fine("DescribeVpcs", &of_vpc).one("vpcId"), vpc);
    for filter in
        ["key&Filter.1.Value.1=ntp-*", "value&Filter.1.Value.1=10.0.0.53", "tag:Name&Filter.1.Value.1=corp"]
    {
        let found = api.fine("DescribeDhcpOptions", &format!("Filter.1.Name={filter}"));
        assert_eq!(found.one("dhcpOptionsId"), corp, "{filter}");
    }

    let delete = format!("DhcpOptionsId={corp}");
    assert_eq!(api.refused("DeleteDhcpOptions", &delete), (400, "DependencyViolation".into()));
    api.fine("AssociateDhcpOptions", &associate("default"));
    assert_eq!(api.fine("DescribeVpcs", "").one("dhcpOptionsId"), "default");
    api.fine("DeleteDhcpOptions", &delete);
    let gone = (400, "InvalidDhcpOptionID.NotFound".to_owned());
    assert_eq!(api.refused("DeleteDhcpOptions", &delete), gone);
    assert_eq!(api.refused("DescribeDhcpOptions", &format!("DhcpOptionsId.1={corp}")), gone);
    assert_eq!(api.refused("AssociateDhcpOptions", &associate(&corp)), gone);
    let malformed = (400, "InvalidDhcpOptionsId.Malformed".to_owned());
    assert_eq!(api.refused("AssociateDhcpOptions", &associate("dopt-1")), malformed);
}

#[test]
fn sets_that_cannot_be_told_are_refused() {
    let api = Endpoint::new();
    let one =
        |key: &str, value: &str| format!("DhcpConfiguration.1.Key={key}&DhcpConfiguration.1.Value.1={value}");
    for (form, code) in [
        (String::new(), "MissingParameter"),
        ("DhcpConfiguration.1.Key=domain-name".to_owned(), "MissingParameter"),
        (one("domain-nam", "x"), "InvalidParameterValue"),
        (one("domain-name", "no/path"), "InvalidParameterValue"),
        (one("domain-name-servers", "ns.example"), "InvalidParameterValue"),
        (one("domain-name-servers", "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5"), "InvalidParameterValue"),
        (one("netbios-name-servers", "2001:db8::1"), "InvalidParameterValue"),
        (one("netbios-node-type", "3"), "InvalidParameterValue"),
        (one("netbios-node-type", "1,2"), "InvalidParameterValue"),
        (one("ipv6-address-preferred-lease-time", "139"), "InvalidParameterValue"),
    ] {
        assert_eq!(api.refused("CreateDhcpOptions", &form), (400, code.into()), "{form}");
    }
    assert!(api.region().dhcp_options().is_empty());
}
