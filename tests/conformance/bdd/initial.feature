Feature: Initial events
  A client that wishes it gets the current state at once.

  Scenario: A session's latest status comes first
    Given the gateway publishes the status "InProgress"
    And the gateway publishes the status "Ringing"
    And a request for session-status
    And the request has "config.initialEvent" set to true
    When the request is sent
    Then the answer is 201
    And the sink receives the status "Ringing" as number 1
    When the gateway publishes the status "Connected"
    Then the sink receives the status "Connected" as number 2

  Scenario: A pending invitation comes first
    Given the gateway publishes a session-invitation
    And a request for session-invitation
    And the request has "config.initialEvent" set to true
    When the request is sent
    Then the answer is 201
    And the sink receives a session-invitation
    And the notification has the time and the data of the gateway's event, and the subscription's id

  Scenario: A registration that has ended gives an initial event
    Given the gateway publishes a registration-ends
    And a request for registration-ends
    And the request has "config.initialEvent" set to true
    When the request is sent
    Then the answer is 201
    And the sink receives a registration-ends
    And the sink is notified that the subscription ended with NETWORK_TERMINATED

  Scenario: An initial event counts towards the maximum
    Given the gateway publishes the status "Ringing"
    And a request for session-status
    And the request has "config.initialEvent" set to true
    And the request has "config.subscriptionMaxEvents" set to 1
    When the request is sent
    Then the answer is 201
    And the sink receives the status "Ringing" as number 1
    And the sink is notified that the subscription ended with MAX_EVENTS_REACHED

  Scenario Outline: Without the wish, only later events arrive
    Given the gateway publishes the status "Ringing"
    And a request for session-status
    And the request has "config.initialEvent" set to <wish>
    When the request is sent
    And the gateway publishes the status "Connected"
    Then the sink receives the status "Connected" as number 1
    And nothing else has come to the sink

    Examples:
      | wish  |
      | false |

  Scenario: Where nothing is known nothing comes first
    Given a request for session-status
    And the request has "config.initialEvent" set to true
    When the request is sent
    And the gateway publishes the status "Ringing"
    Then the sink receives the status "Ringing" as number 1
