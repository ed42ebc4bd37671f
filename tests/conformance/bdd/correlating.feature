Feature: Tying requests to answers
  The x-correlator of a request comes back with its answer, whatever the answer is.

  Scenario Outline: A value of the client's comes back
    Given a subscription to session-invitation
    And the x-correlator is "<value>"
    When the client asks to <do>
    Then the answer has the x-correlator of the request

    Examples:
      | do     | value                |
      | create | b-1_:;./<>{}         |
      | read   | call-of-20250101     |
      | list   | 0                    |
      | delete | 7/a;b                |

  Scenario Outline: A value off the pattern is refused
    Given a subscription to session-invitation
    And the x-correlator is "<value>"
    When the client asks to <do>
    Then the error is 400 INVALID_ARGUMENT
    And the message names "x-correlator"
    And the answer has a new x-correlator

    Examples:
      | do     | value      |
      | create | a b        |
      | read   | a"b        |
      | list   | 100%       |
      | delete | (x)        |

  Scenario Outline: Without a value there is a new UUID
    Given a subscription to session-invitation
    And the request has no x-correlator
    When the client asks to <do>
    Then the answer has a new x-correlator

    Examples:
      | do     |
      | create |
      | read   |
      | list   |
      | delete |

  Scenario Outline: Errors have one shape
    Given a subscription to session-invitation
    When <method> is sent to "<path>"
    Then the error is <status> <code>
    And the answer has the x-correlator of the request

    Examples:
      | method | path                     | status | code               |
      | GET    | /nothing                 | 404    | NOT_FOUND          |
      | PATCH  | /subscriptions           | 405    | METHOD_NOT_ALLOWED |
      | PUT    | /subscriptions/some      | 405    | METHOD_NOT_ALLOWED |
      | POST   | /subscriptions/some      | 405    | METHOD_NOT_ALLOWED |
      | GET    | /subscriptions/some      | 404    | NOT_FOUND          |
      | POST   | /subscriptions           | 400    | INVALID_ARGUMENT   |
