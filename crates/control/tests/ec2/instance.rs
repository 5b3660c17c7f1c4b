//! What is asked about instances one at a time, and about their types.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::api::Endpoint;
use crate::{launch, network};

#[test]
fn the_console_is_shown_from_its_end() {
    let api = Endpoint::new();
    let (_, subnet) = network(&api);
    let instances: Vec<String> = (0..12).map(|_| launch(&api, &subnet)).collect();
    let (mut written, mut silent) = (0, 0);
    for instance in &instances {
        let shown = api.fine("GetConsoleOutput", &format!("InstanceId={instance}&Latest=true"));
        assert_eq!(shown.one("instanceId"), *instance);
        match shown.all("output").first() {
            None => silent += 1,
            Some(output) => {
                written += 1;
                assert_eq!(shown.one("timestamp"), "2027-01-15T08:00:00.000Z");
                let output = String::from_utf8(STANDARD.decode(output).unwrap()).unwrap();
                assert_eq!(output.len(), 65_536);
                assert!(output.ends_with(instance.as_str()));
            }
        }
    }
    assert!(written > 0 && silent > 0, "{written} {silent}");
    let gone = (400, "InvalidInstanceID.NotFound".to_owned());
    assert_eq!(api.refused("GetConsoleOutput", "InstanceId=i-00000000"), gone);
}

#[test]
fn an_attribute_is_reset() {
    let api = Endpoint::new();
    let (_, subnet) = network(&api);
    let instance = launch(&api, &subnet);
    let named = format!("InstanceId={instance}&Attribute=sourceDestCheck");
    api.fine("ModifyInstanceAttribute", &format!("InstanceId={instance}&SourceDestCheck.Value=false"));
    assert_eq!(api.fine("DescribeInstanceAttribute", &named).one("value"), "false");
    assert_eq!(api.fine("ResetInstanceAttribute", &named).one("return"), "true");
    assert_eq!(api.fine("DescribeInstanceAttribute", &named).one("value"), "true");
    let kernel = format!("InstanceId={instance}&Attribute=kernel");
    assert_eq!(api.refused("ResetInstanceAttribute", &kernel), (400, "UnsupportedOperation".into()));
    let gone = "InstanceId=i-00000000&Attribute=sourceDestCheck";
    assert_eq!(api.refused("ResetInstanceAttribute", gone), (400, "InvalidInstanceID.NotFound".into()));
}

#[test]
fn types_are_offered_everywhere() {
    let api = Endpoint::new();
    let micro = "Filter.1.Name=instance-type&Filter.1.Value.1=t3.micro";
    let by = |more: &str| api.fine("DescribeInstanceTypeOfferings", &format!("{micro}{more}"));
    let region = by("");
    assert_eq!((region.one("location"), region.one("locationType")), ("eu-west-1".into(), "region".into()));
    let zones = by("&LocationType=availability-zone&Filter.2.Name=location&Filter.2.Value.1=eu-west-1b");
    assert_eq!((zones.one("location"), zones.one("instanceType")), ("eu-west-1b".into(), "t3.micro".into()));
    let ids = by("&LocationType=availability-zone-id").all("location");
    assert_eq!((ids.len(), ids[1].as_str()), (6, "euw1-az2"));
    let page = api.fine("DescribeInstanceTypeOfferings", "MaxResults=5&LocationType=availability-zone");
    assert_eq!(page.all("instanceType").len(), 5);
    let rest = format!("LocationType=availability-zone&NextToken={}", page.one("nextToken"));
    assert!(!api.fine("DescribeInstanceTypeOfferings", &rest).all("instanceType").is_empty());
    let outpost = api.refused("DescribeInstanceTypeOfferings", "LocationType=outpost");
    assert_eq!(outpost, (400, "InvalidParameterValue".into()));
}
