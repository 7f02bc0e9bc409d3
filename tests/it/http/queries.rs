//! What stands behind the `?` of a path.

use crate::server::Server;

#[test]
fn an_empty_query_parameter_is_treated_as_absent() {
    let world = "[{type: user, username: ann}, {type: user, username: bob}, \
        {type: conversation, name: team, participants: [ann, bob]}, \
        {type: message, key: hi, conversation: team, sender: bob, content: hi}]";
    let server = Server::ephemeral(world, &["ann"], &[]);
    let token = server.token("ann");
    let groups = server.get("/api/conversations/", token).expect(200).json();
    let messages =
        format!("/api/conversations/{}/messages/", groups["results"][0]["conversation_id"].as_str().unwrap());
    for (path, query) in [
        ("/api/users/", "search=&cursor=&page_size="),
        ("/api/users/", "&"),
        ("/api/users/", "search"),
        ("/api/conversations/", "search=&page_size=&&cursor="),
        ("/api/messages/", "search=&sender=&receiver=&start_date=&end_date=&cursor=&page_size="),
        (&messages, "before=&after=&page_size=&sender=&start_date=&end_date=&search=&ordering=&cursor="),
        ("/api/notifications/", "is_read="),
    ] {
        let bare = server.get(path, token).expect(200).json();
        assert_eq!(server.get(&format!("{path}?{query}"), token).expect(200).json(), bare, "{path}?{query}");
    }
    let found = server.get("/api/users/?search=&search=bob&page_size=", token).expect(200).json();
    assert_eq!(found["count"], 1);
}
