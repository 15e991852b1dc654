//! Rule files of the kind that people write, over many exchanges.

use bartizan_waf::Gates;

use crate::{Outcome, Site};

/// Guessing of passwords: five failures in a minute block the address for five minutes.
const BRUTE_FORCE: &str = r#"
SecAction "id:100,phase:1,nolog,pass,initcol:ip=%{REMOTE_ADDR}"
SecRule IP:blocked "@eq 1" "id:101,phase:1,deny,status:429,log,msg:'Blocked after failed logins'"
SecRule REQUEST_FILENAME "@streq /login" "id:102,phase:5,chain,nolog,pass"
  SecRule RESPONSE_STATUS "@eq 401" "setvar:ip.failed=+1,expirevar:ip.failed=60"
SecRule IP:failed "@ge 5" "id:103,phase:5,log,pass,msg:'%{MATCHED_VAR} failed logins',\
  setvar:ip.blocked=1,expirevar:ip.blocked=300,setvar:!ip.failed"
"#;

/// Too many requests of one client in a burst, counted in phase 5 as the Core Rule Set's rules did.
const FLOOD: &str = r#"
SecAction "id:200,phase:1,nolog,pass,initcol:ip=%{REMOTE_ADDR},setvar:tx.burst=60,setvar:tx.counter=20,setvar:tx.block=600"
SecRule IP:DOS_BLOCK "@eq 1" "id:201,phase:1,chain,drop,log,msg:'Flood from %{REMOTE_ADDR}: %{ip.dos_block_counter} requests since'"
  SecRule &IP:DOS_BLOCK_FLAG "@eq 0" "setvar:ip.dos_block_counter=+1,setvar:ip.dos_block_flag=1,\
    expirevar:ip.dos_block_flag=60,setvar:tx.told=1"
SecRule IP:DOS_BLOCK "@eq 1" "id:202,phase:1,drop,nolog,setvar:ip.dos_block_counter=+1"
SecRule REQUEST_BASENAME "@rx \.(?:css|js|png)$" "id:203,phase:5,nolog,pass,skipAfter:END-FLOOD"
SecAction "id:204,phase:5,nolog,pass,setvar:ip.dos_counter=+1"
SecRule IP:DOS_COUNTER "@ge %{tx.counter}" "id:205,phase:5,nolog,pass,\
  setvar:ip.dos_burst_counter=+1,expirevar:ip.dos_burst_counter=%{tx.burst},setvar:!ip.dos_counter"
SecRule IP:DOS_BURST_COUNTER "@ge 2" "id:206,phase:5,log,pass,msg:'Potential flood',\
  setvar:ip.dos_block=1,expirevar:ip.dos_block=%{tx.block}"
SecMarker END-FLOOD
"#;

fn said(stopped: u16, said: &[&str]) -> Outcome {
    Outcome { stopped, said: said.iter().map(|said| (*said).to_owned()).collect() }
}

fn both_ways(rules: &str, mut check: impl FnMut(Site)) {
    for gates in [Gates::All, Gates::None] {
        check(Site::gated(rules, gates));
    }
}

#[test]
fn who_guesses_passwords_is_blocked_for_a_while() {
    both_ways(BRUTE_FORCE, |mut site| {
        let guess = |site: &Site, address: &str| site.ask(address, "/login", 401);
        for _ in 0..4 {
            assert_eq!(guess(&site, "192.0.2.1"), said(0, &[]));
        }
        assert_eq!(guess(&site, "192.0.2.1"), said(0, &["5 failed logins"]));
        assert_eq!(guess(&site, "192.0.2.1"), said(429, &["Blocked after failed logins"]));
        assert_eq!(guess(&site, "192.0.2.2"), said(0, &[]), "others are not");
        site.wait(299);
        assert_eq!(site.ask("192.0.2.1", "/other", 200).stopped, 429);
        site.wait(1);
        assert_eq!(guess(&site, "192.0.2.1"), said(0, &[]));
    });
}

#[test]
fn who_fails_now_and_then_is_not_blocked() {
    both_ways(BRUTE_FORCE, |mut site| {
        for _ in 0..20 {
            assert_eq!(site.ask("192.0.2.1", "/login", 401), said(0, &[]));
            assert_eq!(site.ask("192.0.2.1", "/login", 200), said(0, &[]));
            site.wait(61);
        }
    });
}

#[test]
fn a_flood_is_dropped_and_told_once_a_minute() {
    both_ways(FLOOD, |mut site| {
        for number in 1..=40 {
            let expected: &[&str] = if number == 40 { &["Potential flood"] } else { &[] };
            assert_eq!(site.ask("192.0.2.1", "/a", 200), said(0, expected), "request {number}");
        }
        let told = "Flood from 192.0.2.1: 1 requests since";
        assert_eq!(site.ask("192.0.2.1", "/a", 200), said(403, &[told, "Potential flood"]));
        assert_eq!(site.ask("192.0.2.1", "/a", 200), said(403, &["Potential flood"]));
        assert_eq!(site.ask("192.0.2.2", "/a", 200), said(0, &[]));
        site.wait(601);
        assert_eq!(site.ask("192.0.2.1", "/a", 200).stopped, 0);
    });
}

#[test]
fn files_of_pages_are_no_flood() {
    both_ways(FLOOD, |site| {
        for _ in 0..100 {
            assert_eq!(site.ask("192.0.2.1", "/style.css", 200), said(0, &[]));
        }
    });
}
