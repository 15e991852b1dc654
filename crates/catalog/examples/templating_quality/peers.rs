//! Other ways to group, as far as they work on paths alone: written anew after what their sources do.

use std::collections::BTreeMap;

use crate::traffic::Request;

/// alufers/mitmproxy2swagger: a segment of digits is a parameter.
pub fn digits(requests: &[Request]) -> Vec<String> {
    form(requests, |segment| segment.bytes().all(|byte| byte.is_ascii_digit()))
}

/// openclarity/speculator: digits, a UUID, or at least 8 bytes with more than two digits.
pub fn mixed(requests: &[Request]) -> Vec<String> {
    form(requests, is_mixed)
}

fn is_mixed(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    digits == segment.len() || (segment.len() >= 8 && digits > 2)
}

fn form(requests: &[Request], is_value: fn(&str) -> bool) -> Vec<String> {
    let cut = |path: &str| {
        path.split('/')
            .map(|segment| if !segment.is_empty() && is_value(segment) { "{}" } else { segment }.to_owned())
            .collect::<Vec<_>>()
    };
    requests.iter().map(|request| format!("{} {}", request.method, cut(&request.path).join("/"))).collect()
}

/// akto-api-security/akto, the URL part of its second stage: after the forms, paths of one length that differ in one segment
/// merge when at least ten do. (Its comparison of bodies cannot be had here.)
pub fn pairs(requests: &[Request]) -> Vec<String> {
    let mut groups = form(requests, is_mixed);
    loop {
        let mut gaps: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut distinct = groups.clone();
        distinct.sort_unstable();
        distinct.dedup();
        for group in &distinct {
            let segments: Vec<&str> = group.split('/').collect();
            for (at, segment) in segments.iter().enumerate().skip(1) {
                if *segment != "{}" {
                    let mut gap = segments.clone();
                    gap[at] = "{}";
                    gaps.entry(gap.join("/")).or_default().push(group.clone());
                }
            }
        }
        let Some((gap, members)) =
            gaps.into_iter().filter(|(_, members)| members.len() >= 10).max_by_key(|(_, members)| members.len())
        else {
            return groups;
        };
        groups.iter_mut().filter(|group| members.contains(group)).for_each(|group| group.clone_from(&gap));
    }
}
