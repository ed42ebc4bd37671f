"""Between the ASGI server and the handlers.

protocol         below ASGI: line ends, the time that a head may take; gunicorn_worker has gunicorn use it
front.Middleware      every request: x-correlator, the last resort for errors
bodies           how large, how slow and how many bodies may be
routes.Routes    what a path and a method mean: operation, page, health, reference
api              Connexion, which binds the contracts' operations to the handlers:
    security       bearer tokens and scopes
    validators     requests and responses against the contract; refusals names the error
    binding        operationId to function
failures         which error a failed request is answered with, and what the log says of it
answers          answers in JSON
"""

import warnings

with warnings.catch_warnings():
    # Connexion imports a test client that warns about its HTTP library. Neither is used here, and the
    # warning would come with every start; imported once, it is silent.
    warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")
    import starlette.testclient  # noqa: F401
