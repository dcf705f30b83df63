"""HTTP/1.1 to providers, on asyncio and httptools: what most requests go through.

`client` is the transport, `pool` the connections to one origin, `connection` one of them, `response` what comes back, `request_head`
and `upload` what goes out, `dns` and `dial` how a connection is made.
"""
