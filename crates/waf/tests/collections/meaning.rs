//! What each action and each member means. Each expectation is the reference manual's; those that libmodsecurity 3.0.9
//! shares were asked of it (`bench/waf/oracle.cc`), the others say how it differs.

use bartizan_waf::Gates;

use crate::Site;

/// Opens `ip`, runs `action` when the query has `do`, and says what `text` then stands for.
fn site(action: &str, text: &str) -> Site {
    Site::new(&format!(
        "SecAction \"id:1,phase:1,nolog,pass,initcol:ip=%{{REMOTE_ADDR}}\"\n\
         SecRule &ARGS_GET:do \"@eq 1\" \"id:2,phase:1,nolog,pass,{action}\"\n\
         SecAction \"id:3,phase:1,log,pass,msg:'{text}'\"\n"
    ))
}

fn check(action: &str, text: &str, said: &[&str]) {
    let site = site(action, text);
    let found: Vec<String> = said.iter().map(|_| site.say("/?do=1")).collect();
    assert_eq!(found, said, "{action}");
}

#[test]
fn what_one_exchange_sets_the_next_reads() {
    check("setvar:ip.a=+1", "%{ip.a}", &["1", "2", "3"]);
    check("setvar:ip.a=-2", "%{ip.a}", &["-2", "-4"]); // as libmodsecurity 3; ModSecurity 2 stops at 0
    check("setvar:ip.A=text", "%{IP.a}", &["text"]);
    check("setvar:ip.a=%{ip.a}x", "%{ip.a}", &["x", "xx"]);
    check("setvar:ip.a=007,setvar:ip.a=+1", "%{ip.a}", &["8"]);
    check("setvar:'ip.%{REQUEST_METHOD}=+1'", "%{ip.post}", &["1", "2"]);
    check("setvar:ip.a=5,setvar:!ip.a", "[%{ip.a}]", &["[]", "[]"]);
    check("setvar:ip.a=9223372036854775807,setvar:ip.a=+1", "%{ip.a}", &["9223372036854775807"]);
}

#[test]
fn records_of_other_keys_and_collections_are_apart() {
    let site = Site::new(
        "SecAction \"id:1,phase:1,nolog,pass,initcol:ip=%{REMOTE_ADDR},initcol:global=all,setsid:%{ARGS.sid},\
         setuid:%{ARGS.uid},setrsc:%{REQUEST_FILENAME}\"\n\
         SecAction \"id:2,phase:1,nolog,pass,setvar:ip.n=+1,setvar:global.n=+1,setvar:session.n=+1,setvar:user.n=+1,\
         setvar:resource.n=+1\"\n\
         SecAction \"id:3,phase:1,log,pass,\
         msg:'%{ip.n} %{global.n} %{session.n} %{user.n} %{resource.n} %{SESSIONID} %{USERID}'\"\n",
    );
    for (address, target, said) in [
        ("192.0.2.1", "/a?sid=s&uid=u", "1 1 1 1 1 s u"),
        ("192.0.2.2", "/a?sid=s&uid=v", "1 2 2 1 2 s v"),
        ("192.0.2.1", "/b?sid=t&uid=u", "2 3 1 2 1 t u"),
        ("192.0.2.1", "/b", "3 4   2  "), // without a key nothing is opened
    ] {
        assert_eq!(site.ask(address, target, 200).said, [said], "{address} {target}");
    }
}

#[test]
fn members_are_values_and_can_be_counted() {
    let site = Site::new(
        "SecAction \"id:1,phase:1,nolog,pass,initcol:ip=%{REMOTE_ADDR}\"\n\
         SecRule &IP:a \"@eq 0\" \"id:2,phase:1,log,pass,msg:'none'\"\n\
         SecAction \"id:3,phase:1,nolog,pass,setvar:ip.a=1,setvar:ip.b=2,setvar:ip.c=3\"\n\
         SecRule &IP \"@eq 3\" \"id:4,phase:1,log,pass,msg:'three'\"\n\
         SecRule IP:/^[ab]$/ \"@ge 2\" \"id:5,phase:1,log,pass,msg:'%{MATCHED_VAR_NAME}=%{MATCHED_VAR}'\"\n\
         SecRule IP|!IP:b \"@ge 2\" \"id:6,phase:1,log,pass,msg:'%{MATCHED_VAR_NAME}=%{MATCHED_VAR}'\"\n",
    );
    assert_eq!(site.ask("192.0.2.1", "/", 200).said, ["none", "three", "IP:b=2", "IP:c=3"]);
    assert_eq!(site.ask("192.0.2.1", "/", 200).said, ["three", "IP:b=2", "IP:c=3"]);
}

#[test]
fn a_record_says_of_itself_what_the_manual_says() {
    let text = "%{ip.KEY} %{ip.IS_NEW} %{ip.UPDATE_COUNTER} %{ip.CREATE_TIME} [%{ip.LAST_UPDATE_TIME}] \
                %{ip.UPDATE_RATE} %{ip.TIMEOUT}";
    let mut site = site("setvar:ip.a=1,setvar:ip.b=1", text);
    assert_eq!(site.say("/"), "192.0.2.1 1 0 1767225600 [] 0 3600");
    assert_eq!(site.say("/?do=1"), "192.0.2.1 1 0 1767225600 [] 0 3600", "looking alone makes no record");
    site.wait(30);
    assert_eq!(site.say("/?do=1"), "192.0.2.1 0 1 1767225600 [1767225600] 2 3600", "two changes, one update");
    site.wait(30);
    assert_eq!(site.say("/"), "192.0.2.1 0 2 1767225600 [1767225630] 2 3600");
}

#[test]
fn what_a_record_says_of_itself_cannot_be_set() {
    for name in ["IS_NEW", "CREATE_TIME", "LAST_UPDATE_TIME", "UPDATE_COUNTER", "UPDATE_RATE", "KEY"] {
        let site = site(&format!("setvar:ip.{name}=77"), &format!("%{{ip.{name}}}"));
        assert_ne!(site.say("/?do=1"), "77", "{name}");
        assert_eq!(site.store.counts().refused_total, 1, "{name}");
    }
}

#[test]
fn a_member_ends_when_it_expires() {
    let mut site = site("setvar:ip.a=+1,expirevar:ip.a=60", "[%{ip.a}]");
    assert_eq!(site.say("/?do=1"), "[1]");
    site.wait(59);
    assert_eq!(site.say("/?do=1"), "[2]", "and its time begins anew");
    site.wait(59);
    assert_eq!(site.say("/"), "[2]");
    site.wait(1);
    assert_eq!(site.say("/"), "[]");
    assert_eq!(site.say("/?do=1"), "[1]", "it begins at 0");
}

#[test]
fn the_order_in_which_a_rule_says_it_does_not_matter() {
    let mut site = Site::new(
        "SecAction \"id:1,phase:1,nolog,pass,expirevar:ip.a=60,setvar:ip.a=+1,initcol:ip=%{REMOTE_ADDR}\"\n\
         SecAction \"id:2,phase:1,log,pass,msg:'%{ip.a}'\"\n",
    );
    assert_eq!([site.say("/"), site.say("/")], ["1", "2"]);
    site.wait(60);
    assert_eq!(site.say("/"), "1");
}

#[test]
fn a_record_ends_when_nothing_changes_it() {
    let mut site = site("setvar:ip.a=+1", "[%{ip.a}]");
    site.say("/?do=1");
    site.wait(3599);
    assert_eq!(site.say("/?do=1"), "[2]");
    site.wait(3599);
    assert_eq!(site.say("/"), "[2]", "looking");
    site.wait(1);
    assert_eq!(site.say("/"), "[]", "does not keep it");
}

#[test]
fn a_rule_may_set_how_long_a_record_is_kept() {
    let mut by_member = site("setvar:ip.a=1,setvar:ip.TIMEOUT=10", "[%{ip.a}]");
    let rules = "SecCollectionTimeout 10\n\
                 SecAction \"id:1,phase:1,nolog,pass,initcol:ip=%{REMOTE_ADDR}\"\n\
                 SecRule &ARGS_GET:do \"@eq 1\" \"id:2,phase:1,nolog,pass,setvar:ip.a=1\"\n\
                 SecAction \"id:3,phase:1,log,pass,msg:'[%{ip.a}]'\"\n";
    let mut by_directive = Site::new(rules);
    for site in [&mut by_member, &mut by_directive] {
        site.say("/?do=1");
        site.wait(9);
        assert_eq!(site.say("/"), "[1]");
        site.wait(1);
        assert_eq!(site.say("/"), "[]");
    }
}

#[test]
fn a_record_goes_when_its_key_is_taken_away() {
    let site = site("setvar:!ip.KEY", "[%{ip.a}]");
    let other = Site {
        plan: crate::plan("SecAction \"id:1,phase:1,nolog,pass,initcol:ip=%{REMOTE_ADDR},setvar:ip.a=1\"", Gates::All),
        ..Site::new("")
    };
    let other = Site { store: std::sync::Arc::clone(&site.store), ..other };
    other.say("/");
    assert_eq!(site.say("/"), "[1]");
    assert_eq!(site.say("/?do=1"), "[]");
    assert_eq!(site.store.counts().records, 0);
}

#[test]
fn a_member_is_lessened_steadily_and_never_below_zero() {
    let mut site = Site::new(
        "SecAction \"id:1,phase:1,nolog,pass,initcol:ip=%{REMOTE_ADDR},deprecatevar:ip.a=60/300\"\n\
         SecRule &ARGS_GET:do \"@eq 1\" \"id:2,phase:1,nolog,pass,setvar:ip.a=+100\"\n\
         SecAction \"id:3,phase:1,log,pass,msg:'%{ip.a}'\"\n",
    );
    assert_eq!(site.say("/?do=1"), "100");
    for (seconds, said) in [(299, "100"), (1, "40"), (200, "40"), (100, "0"), (600, "0")] {
        site.wait(seconds);
        assert_eq!(site.say("/"), said, "after {seconds} more seconds");
    }
}

#[test]
fn a_link_acts_when_it_matches_whether_or_not_its_chain_does() {
    let site = Site::new(
        "SecAction \"id:1,phase:1,nolog,pass,initcol:ip=%{REMOTE_ADDR}\"\n\
         SecRule REQUEST_FILENAME \"@streq /a\" \"id:2,phase:1,nolog,pass,chain,setvar:ip.first=+1\"\n\
         SecRule ARGS_GET:b \"@streq 1\" \"setvar:ip.second=+1\"\n\
         SecAction \"id:3,phase:1,log,pass,msg:'[%{ip.first}] [%{ip.second}]'\"\n",
    );
    assert_eq!([site.say("/b?b=1"), site.say("/a"), site.say("/a?b=1")], ["[] []", "[1] []", "[2] [1]"]);
}

#[test]
fn without_a_store_and_before_it_is_opened_a_collection_is_empty() {
    let rules = "SecAction \"id:1,phase:1,nolog,pass,setvar:ip.a=1\"\n\
                 SecAction \"id:2,phase:1,log,pass,msg:'[%{ip.a}]',initcol:ip=%{REMOTE_ADDR}\"\n\
                 SecAction \"id:3,phase:1,nolog,pass,setvar:ip.a=1\"\n";
    let site = Site::new(rules);
    // `msg` is expanded when the rule has matched and opened the record.
    assert_eq!([site.say("/"), site.say("/")], ["[]", "[1]"]);
}

#[test]
fn the_first_key_of_an_exchange_stays() {
    let site = Site::new(
        "SecAction \"id:1,phase:1,nolog,pass,initcol:ip=first\"\n\
         SecAction \"id:2,phase:1,nolog,pass,initcol:ip=second\"\n\
         SecAction \"id:3,phase:1,log,pass,msg:'%{ip.KEY}'\"\n",
    );
    assert_eq!(site.say("/"), "first");
}

#[test]
fn a_plan_without_collections_says_so() {
    let keeps = |rules: &str| {
        let plan = crate::plan(rules, Gates::All);
        (plan.keeps_collections(), plan.keeps_at_end())
    };
    let open = "SecAction \"id:1,phase:1,nolog,pass,initcol:ip=a\"\n";
    assert_eq!(keeps("SecAction \"id:1,phase:1,pass,nolog,setvar:tx.a=1\""), (false, false));
    assert_eq!(keeps(open), (true, false));
    assert_eq!(keeps(&format!("{open}SecAction \"id:2,phase:5,pass,nolog,setvar:tx.a=1\"")), (true, false));
    assert_eq!(keeps(&format!("{open}SecAction \"id:2,phase:5,pass,nolog,setvar:ip.a=1\"")), (true, true));
    // The Core Rule Set opens collections only where it is told to; that is known at load.
    let never = "SecAction \"id:1,phase:1,nolog,pass,setvar:tx.on=0\"\n\
                 SecRule TX:on \"@eq 1\" \"id:2,phase:1,nolog,pass,initcol:ip=a\"\n";
    assert_eq!(keeps(never), (false, false));
}

#[track_caller]
fn check_gates(rules: &str, target: &str, said: &[&str]) {
    for gates in [Gates::All, Gates::None] {
        let site = Site::gated(rules, gates);
        let found: Vec<String> = said.iter().map(|_| site.say(target)).collect();
        assert_eq!(found, said, "with {gates:?}: {rules}");
    }
}

#[test]
fn a_chain_that_fails_has_opened_and_aged_what_its_first_links_say() {
    let opens = "SecRule ARGS \"@rx ^x\" \"id:1,phase:1,nolog,pass,initcol:ip=%{REMOTE_ADDR},chain\"\n\
         SecRule REQUEST_URI \"@contains never\"\n\
         SecAction \"id:2,phase:1,nolog,pass,setvar:ip.n=+1\"\n\
         SecAction \"id:3,phase:1,log,pass,msg:'%{ip.n}'\"\n";
    check_gates(opens, "/?a=x", &["1", "2"]);
    check_gates(opens, "/?a=y", &["", ""]);
}

#[test]
fn a_key_may_be_what_a_chain_captured_that_failed() {
    let rules = "SecRule ARGS:key \"@rx ^(.)\" \"id:1,phase:1,nolog,pass,capture,chain\"\n\
         SecRule REQUEST_URI \"@contains never\"\n\
         SecAction \"id:2,phase:1,nolog,pass,initcol:ip=%{tx.1},setvar:ip.n=+1\"\n\
         SecAction \"id:3,phase:1,log,pass,msg:'%{ip.n} %{ip.key}'\"\n";
    check_gates(rules, "/?key=abc", &["1 a", "2 a"]);
}

#[test]
fn a_key_may_be_a_name_out_of_a_list() {
    let rules = "SecRule REQUEST_HEADERS_NAMES \"@rx ^.*$\" \"id:1,phase:1,nolog,pass,capture,t:lowercase,\
         initcol:global=%{tx.0},setvar:'tx.name_%{tx.0}=/%{tx.0}/',chain\"\n\
         SecRule TX:/^name_/ \"@within /proxy/ /range/\"\n\
         SecAction \"id:2,phase:1,nolog,pass,setvar:global.n=+1\"\n\
         SecAction \"id:3,phase:1,log,pass,msg:'%{global.n} %{global.key}'\"\n";
    check_gates(rules, "/", &["1 host", "2 host"]);
}
