//! Overlays: merging, grants, conflicts, and whatever a plugin may come up with.

use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use serde_json::{Value, json};

use super::{MOST_PROBLEMS, Overlays};
use crate::pod::{Capability, ComponentName, Grant, PluginName};

fn plugin(name: &str) -> PluginName {
    PluginName::new(name).unwrap()
}

fn grants(scopes: &[&str]) -> Vec<Grant> {
    scopes.iter().map(|scope| Grant::new(Capability::Plan, *scope)).collect()
}

fn base() -> Value {
    json!({
        "components": {"app": {"image": "a", "command": ["x"], "environment": {"A": "1", "PASS": null}}},
        "plugins": [{"mesh": {}}],
    })
}

/// Applies overlays of several plugins with all grants; answers the document or the problems.
fn merged(overlays: &[(&str, Value)]) -> Result<Value, String> {
    let mut all = Overlays::new(base());
    for (name, overlay) in overlays {
        all.apply(&plugin(name), None, &overlay.to_string(), &grants(&["*"]))
            .map_err(|problems| problems.to_string())?;
    }
    Ok(all.finish())
}

fn refused(overlay: &str, scope: Option<&str>, granted: &[&str], expected: &str) {
    let mut all = Overlays::new(base());
    let scope = scope.map(|name| ComponentName::new(name).unwrap());
    let problems = all.apply(&plugin("p"), scope.as_ref(), overlay, &grants(granted)).unwrap_err();
    assert_eq!(problems.to_string(), expected);
    assert_eq!(all.finish(), base(), "nothing of a refused overlay is taken");
}

#[test]
fn maps_are_merged_and_the_rest_is_replaced() {
    let overlay = json!({"components": {
        "app": {"command": ["y", "z"], "environment": {"B": "2"}},
        "side": {"image": "s", "labels": {}},
    }});
    assert_eq!(
        merged(&[("p", overlay)]).unwrap(),
        json!({
            "components": {
                "app": {"image": "a", "command": ["y", "z"], "environment": {"A": "1", "PASS": null, "B": "2"}},
                "side": {"image": "s", "labels": {}},
            },
            "plugins": [{"mesh": {}}],
        })
    );
}

#[test]
fn what_changes_nothing_needs_no_grant() {
    let mut all = Overlays::new(base());
    for overlay in ["{}", r#"{"components": {}}"#, &base().to_string()] {
        all.apply(&plugin("p"), None, overlay, &[]).unwrap();
    }
    assert_eq!(all.finish(), base());
}

#[test]
fn what_is_no_object_is_refused() {
    refused("[]", None, &["*"], "`plugin p`: the overlay is not a JSON object");
    refused("{", None, &["*"], "`plugin p`: the overlay is not JSON: EOF while parsing an object at line 1 column 1");
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(1 << 20));
    refused(&long, None, &["*"], "`plugin p`: the overlay is 1048585 bytes long, but the limit is 1048576 bytes");
}

#[test]
fn nothing_is_removed() {
    refused(
        r#"{"components": {"app": {"image": null}}}"#,
        None,
        &["*"],
        "`plugin p`, field `components.app.image`: an overlay cannot remove a field: `null` is refused",
    );
}

#[test]
fn every_change_needs_a_grant() {
    refused(
        r#"{"components": {"app": {"environment": {"A": "2"}, "privileged": true}}}"#,
        None,
        &["components.*.environment"],
        "`plugin p`, field `components.app.privileged`: no `plan` grant covers this change \
         (hint: grant the change with `plan: [components.app.privileged]` or a wider scope)",
    );
}

#[test]
fn a_map_in_place_of_a_list_needs_a_grant_for_the_list() {
    refused(
        r#"{"components": {"app": {"command": {"first": "y"}}}}"#,
        None,
        &["components.app.command.first"],
        "`plugin p`, field `components.app.command.first`: no `plan` grant covers this change \
         (hint: grant the change with `plan: [components.app.command]` or a wider scope)",
    );
}

#[test]
fn a_value_in_place_of_a_map_needs_a_grant_for_the_map() {
    refused(
        r#"{"components": {"app": {"environment": "x"}}}"#,
        None,
        &["components.app.environment.A"],
        "`plugin p`, field `components.app.environment`: no `plan` grant covers this change \
         (hint: grant the change with `plan: [components.app.environment]` or a wider scope)",
    );
}

#[test]
fn plugins_and_controller_stay_the_users() {
    refused(
        r#"{"plugins": [], "controller": {"privileged": true}}"#,
        None,
        &["*", "plugins"],
        "`plugin p`, field `plugins`: no plugin may change `plugins`\n\
         `plugin p`, field `controller.privileged`: no plugin may change `controller`",
    );
}

#[test]
fn a_plugin_of_one_component_changes_no_other() {
    refused(
        r#"{"components": {"app": {"user": "1"}, "db": {"image": "d"}}, "init": []}"#,
        Some("app"),
        &["*"],
        "`plugin p`, field `components.db.image`: the plugin belongs to component `app` and may change only that component\n\
         `plugin p`, field `init`: the plugin belongs to component `app` and may change only that component",
    );
    refused(
        r#"{"components": 1}"#,
        Some("app"),
        &["*"],
        "`plugin p`, field `components`: the plugin belongs to component `app` and may change only that component",
    );
}

#[test]
fn two_plugins_may_agree() {
    let overlay = json!({"components": {"app": {"user": "1"}}});
    let document = merged(&[("a", overlay.clone()), ("b", overlay)]).unwrap();
    assert_eq!(document.pointer("/components/app/user"), Some(&json!("1")));
}

#[test]
fn one_plugin_may_change_its_mind() {
    let user = |user| json!({"components": {"app": {"user": user}}});
    let document = merged(&[("a", user("1")), ("a", user("2"))]).unwrap();
    assert_eq!(document.pointer("/components/app/user"), Some(&json!("2")));
}

#[test]
fn two_plugins_that_disagree_are_named_in_any_order() {
    let at = |value: Value| json!({"components": {"app": {"x": value}}});
    for (one, other, field) in [
        (at(json!("1")), at(json!("2")), "components.app.x"),
        // Not only what changes the document counts: who says `a` where it is `a` does not want `b`.
        (
            json!({"components": {"app": {"image": "a"}}}),
            json!({"components": {"app": {"image": "b"}}}),
            "components.app.image",
        ),
        (at(json!({"y": 1})), at(json!([])), "components.app.x"),
        (at(json!({})), at(json!([])), "components.app.x"),
    ] {
        for (first, second) in [(&one, &other), (&other, &one)] {
            let problems = merged(&[("a", first.clone()), ("b", second.clone())]).unwrap_err();
            assert!(problems.contains("the plugins `a` and `b` set this field to different values"), "{problems}");
            assert!(problems.contains(field), "{problems}");
        }
    }
}

#[test]
fn an_empty_map_makes_room_for_another_plugins_keys() {
    let at = |value: Value| json!({"components": {"app": {"x": value}}});
    for order in [[json!({}), json!({"y": 1})], [json!({"y": 1}), json!({})]] {
        let [first, second] = order;
        let document = merged(&[("a", at(first)), ("b", at(second))]).unwrap();
        assert_eq!(document.pointer("/components/app/x"), Some(&json!({"y": 1})));
    }
}

#[test]
fn a_flood_of_problems_is_counted_not_listed() {
    let overlay: serde_json::Map<_, _> = (0..1000).map(|n| (format!("k{n}"), json!(1))).collect();
    let mut all = Overlays::new(base());
    let problems = all.apply(&plugin("p"), None, &Value::Object(overlay).to_string(), &[]).unwrap_err();
    assert_eq!(problems.0.len(), MOST_PROBLEMS + 1);
    assert_eq!(problems.0.last().unwrap().to_string(), "`plugin p`: 980 more problems of this kind");
}

#[test]
fn a_plugins_words_can_not_forge_lines() {
    let problems =
        Overlays::new(base()).apply(&plugin("p"), None, "{\"a\\n\\u001b[31mok\": 1}", &[]).unwrap_err().to_string();
    assert!(!problems.contains(['\n', '\u{1b}']), "{problems:?}");
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![Just("components".to_owned()), Just("app".to_owned()), Just("plugins".to_owned()), "[a-c.]{0,2}"]
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0..3_u8).prop_map(Value::from)];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(key(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Overlays below one key each: what two of them with different keys set is disjoint.
fn below(key: &'static str) -> impl Strategy<Value = Value> {
    document().prop_map(move |value| json!({"components": {(key): value}}))
}

proptest! {
    #[test]
    fn apply_never_panics(base in document(), text in ".{0,40}", overlay in document(), scope in "[a-c.*]{0,5}", scoped: bool) {
        let mut all = Overlays::new(base.clone());
        let app = ComponentName::new("app").unwrap();
        let scope = grants(&[&scope]);
        drop(all.apply(&plugin("a"), scoped.then_some(&app), &text, &scope));
        drop(all.apply(&plugin("b"), scoped.then_some(&app), &overlay.to_string(), &scope));
        drop(all.apply(&plugin("c"), None, &overlay.to_string(), &grants(&["*"])));
        assert!(serde_json::from_str::<Value>(&all.finish().to_string()).is_ok());
    }

    #[test]
    fn without_a_grant_nothing_changes(base in document(), overlay in document()) {
        let mut all = Overlays::new(base.clone());
        drop(all.apply(&plugin("p"), None, &overlay.to_string(), &[]));
        assert_eq!(all.finish(), base);
    }

    #[test]
    fn the_order_of_disjoint_overlays_does_not_matter(base in document(), one in below("one"), other in below("other")) {
        let both = |first: &Value, second: &Value| {
            let mut all = Overlays::new(base.clone());
            let results = [("a", first), ("b", second)]
                .map(|(name, overlay)| all.apply(&plugin(name), None, &overlay.to_string(), &grants(&["*"])).is_ok());
            (results, all.finish())
        };
        let (mut there, forth) = both(&one, &other);
        let (back_results, back) = both(&other, &one);
        there.reverse();
        assert_eq!(there, back_results);
        assert_eq!(forth, back);
    }
}
