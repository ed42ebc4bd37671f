Feature: Notifications
  What happens on the network reaches the sink as a CloudEvent, once, in order.

  Scenario Outline: Each type of event arrives as a CloudEvent
    Given a subscription to <type>
    When the gateway publishes a <type>
    Then the sink receives a <type>
    And the notification is a POST of one CloudEvent in structured mode
    And the notification has the attributes of CAMARA and no others but <extensions>
    And the notification has the time and the data of the gateway's event, and the subscription's id
    And the notification has an x-correlator

    Examples:
      | type               | extensions             |
      | session-invitation | none                   |
      | session-status     | mediaSessionId, status |
      | registration-ends  | none                   |

  Scenario: The plain form of session-status keeps the session in data
    Given a service with tight limits
    And the gateway has announced that the registration belongs to the client
    And the gateway publishes a session-invitation
    And a subscription to session-status
    When the gateway publishes a session-status
    Then the sink receives a session-status
    And the notification has the attributes of CAMARA and no others but none
    And the notification has the time and the data of the gateway's event, and the subscription's id

  Scenario: The events of a call arrive in the order in which they happened
    Given a subscription to session-status
    When the gateway publishes the status "InProgress"
    And the gateway publishes the status "Ringing"
    And the gateway publishes the status "Connected"
    And the gateway publishes the status "Hold"
    And the gateway publishes the status "Resume"
    And the gateway publishes the status "Terminated"
    Then the sink receives the status "InProgress" as number 1
    And the sink receives the status "Ringing" as number 2
    And the sink receives the status "Connected" as number 3
    And the sink receives the status "Hold" as number 4
    And the sink receives the status "Resume" as number 5
    And the sink receives the status "Terminated" as number 6
    And every notification has a different id

  Scenario: The gateway's own sequence numbers are passed on
    Given a subscription to session-status
    When the gateway publishes the status "Ringing" as number 7
    Then the sink receives the status "Ringing" as number 7

  Scenario: SDP offers and answers are passed on
    Given a subscription to session-status
    When the gateway publishes the status "Connected" with an SDP answer
    Then the sink receives a session-status
    And the notification has the time and the data of the gateway's event, and the subscription's id

  Scenario: An event published twice arrives once
    Given a subscription to session-invitation
    When the gateway publishes a session-invitation
    And the gateway repeats its event
    Then no subscription gets it
    And the sink receives a session-invitation
    And nothing else has come to the sink

  Scenario: Events of others do not arrive
    Given a subscription to session-invitation
    When the gateway publishes a session-invitation to another registration
    Then no subscription gets it

  Scenario: The sink's token goes with every notification
    Given a request for session-invitation
    And the request has a credential for the sink that is valid for 600 s
    And the request is sent
    When the gateway publishes a session-invitation
    Then the sink receives a session-invitation
    And the notification carries the sink's token
    When the subscription is deleted
    Then the sink is notified that the subscription ended with SUBSCRIPTION_DELETED
    And the notification carries the sink's token

  Scenario: Without a credential there is no Authorization
    Given a subscription to session-invitation
    When the gateway publishes a session-invitation
    Then the sink receives a session-invitation
    And the notification has no header "Authorization"

  Scenario: Headers that the client wished for go with every notification
    Given a request for session-invitation
    And the request has "protocolSettings" set to {"headers": {"x-tenant": "blue"}}
    And the request is sent
    When the gateway publishes a session-invitation
    Then the sink receives a session-invitation
    And the notification has the header "x-tenant" set to "blue"

  Scenario Outline: Any 2xx means that the sink has it
    Given a subscription to session-invitation
    And the sink answers <status>
    When the gateway publishes a session-invitation
    And the gateway publishes another session-invitation
    Then the sink receives a session-invitation
    And the sink receives a session-invitation
    And every notification has a different id

    Examples:
      | status |
      | 200    |
      | 201    |
      | 202    |
      | 204    |

  Scenario Outline: What the sink could not take comes again under its id, before anything else
    Given a subscription to session-status
    And the sink answers <status>, then 204
    When the gateway publishes the status "Ringing"
    And the gateway publishes the status "Connected"
    Then the sink receives the status "Ringing" as number 1
    And the sink receives the same notification again
    And the sink receives the status "Connected" as number 2

    Examples:
      | status |
      | 503    |
      | 500    |
      | 404    |
      | 429    |

  Scenario: A sink that asks for time gets it
    Given a subscription to session-invitation
    And the sink answers 429 and asks for 1 s, then 204
    When the gateway publishes a session-invitation
    Then the sink receives a session-invitation
    And the sink receives the same notification again, not earlier than asked for

  Scenario: A redirect is not followed
    Given a subscription to session-status
    And the sink answers 307 to "/elsewhere", then 204
    When the gateway publishes the status "Ringing"
    And the gateway publishes the status "Connected"
    Then the sink receives the status "Ringing" as number 1
    And the sink receives the status "Connected" as number 2
    And nothing has come to the sink at "/elsewhere"

  Scenario Outline: An event that the sink refuses is not forced on it
    Given a subscription to session-status
    And the sink answers <status>, then 204
    When the gateway publishes the status "Ringing"
    And the gateway publishes the status "Connected"
    Then the sink receives the status "Ringing" as number 1
    And the sink receives the status "Connected" as number 2

    Examples:
      | status |
      | 400    |
      | 401    |
      | 403    |
      | 415    |
