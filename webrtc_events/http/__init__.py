"""Between the ASGI server and the handlers.

front.Front      every request: x-correlator, size of the body, the last resort for errors
routes.Routes    what a path and a method mean: operation, page, health, reference
api              Connexion, which binds the contracts' operations to the handlers:
    security       bearer tokens and scopes
    validators     requests and responses against the contract; refusals names the error
    binding        operationId to function
answers          errors as ErrorInfo
"""
