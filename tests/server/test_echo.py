def test_one_message_comes_back(server):
    client = server.client()
    client.say(b"Hello, Tokio!")
    client.finish()
