//! The answer's XML, made of typed structs.
//!
//! A struct's members are elements in their order, a list holds an `item` for each element, a member that is None is
//! left out ("Amazon EC2 API Reference", "Response structures").

mod serializer;

use serde::Serialize;

pub(super) use serializer::HIDDEN;
pub(crate) use serializer::Unfit;
use serializer::{Content, element};

/// The namespace of this version of the API.
const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// The document that answers an action: `answer`, a struct, after the request's id.
///
/// # Errors
/// `answer` is not a struct of members that XML can hold. That is a mistake of the program, not of the request.
pub(super) fn response(action: &str, request: &str, answer: &impl Serialize) -> Result<String, Unfit> {
    let mut text = format!("{DECLARATION}<{action}Response xmlns=\"{NAMESPACE}\">");
    element(&mut text, "requestId", request)?;
    answer.serialize(Content(&mut text))?;
    text.push_str(&format!("</{action}Response>"));
    Ok(text)
}

/// A document whose root element has this name, these attributes and, as its members, this struct.
///
/// # Errors
/// As [`response`].
pub(crate) fn document(root: &str, attributes: &str, members: &impl Serialize) -> Result<String, Unfit> {
    let mut text = format!("{DECLARATION}<{root}{attributes}>");
    members.serialize(Content(&mut text))?;
    text.push_str(&format!("</{root}>"));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        vpc_set: Vec<Vpc>,
        next_token: Option<String>,
        count: u32,
        code: i32,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Vpc {
        vpc_id: model::VpcId,
        is_default: bool,
        names: Vec<&'static str>,
        state: State,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    enum State {
        ShuttingDown,
    }

    #[test]
    fn members_items_and_text() {
        let vpc = Vpc {
            vpc_id: "vpc-00000001".parse().unwrap(),
            is_default: false,
            names: vec!["a<b>&\"c\"", "ü"],
            state: State::ShuttingDown,
        };
        let answer = Answer { vpc_set: vec![vpc], next_token: None, count: 7, code: -1 };
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <DescribeVpcsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
            <requestId>r</requestId><vpcSet><item><vpcId>vpc-00000001</vpcId><isDefault>false</isDefault>\
            <names><item>a&lt;b&gt;&amp;&quot;c&quot;</item><item>ü</item></names>\
            <state>shutting-down</state></item></vpcSet><count>7</count><code>-1</code></DescribeVpcsResponse>";
        assert_eq!(response("DescribeVpcs", "r", &answer).unwrap(), expected);
    }

    #[test]
    fn carriage_returns_survive() {
        #[derive(Serialize)]
        struct Text {
            value: &'static str,
        }
        let text = document("R", "", &Text { value: "a\r\nb\t" }).unwrap();
        assert!(text.contains("a&#13;\nb\t"), "{text}");
    }
}
