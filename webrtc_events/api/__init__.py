"""Between the ASGI server and the handlers.

http_protocol, gunicorn_worker   below ASGI: line ends, the time that a head may take
websocket_protocol               the same for WebSockets: sizes, rates, pings, who takes nothing
middleware                       every request: x-correlator, bodies (bodies), the last resort for errors
websockets                       who may open a WebSocket, and what it is closed with
routes                           what a path and a method mean: operation, page, health, reference
application                      Connexion, which finds the operation and lets the caller in:
    bearer_auth                    access tokens (access_tokens, verified_tokens, openid, issuer_keys), scopes
    operations                     an operation's request, function and answer
    validators, query_parameters   requests and responses against the contract; error_codes names the error
    binding, paging                operationId to function; arrays that are written page by page
    page_headers                   what is said of a page that was asked for by its number
failures                         which error answers a failed request, and what the log says of it
responses                        answers in JSON; errors as CAMARA's ErrorInfo
health                           `/healthz`, `/readyz`
"""
