Feature: Asking the sink first
  Where the operator wants it, a sink is asked whether it agrees, and is sent nothing before it did.

  Background:
    Given a service that asks sinks first

  Scenario Outline: A subscription of each type is made later
    Given the sink agrees when it is asked
    And a request for <type>
    When the request is sent
    Then the answer is 202
    And the answer is a valid SubscriptionAsync
    And the answer has the x-correlator of the request
    And the sink is asked whether it agrees
    And the subscription is shown as ACTIVE
    And the answer is a valid Subscription
    When the gateway publishes a <type>
    Then the sink receives a <type>
    And the notification has the header "WebHook-Request-Origin" set to "webrtc.example.com"

    Examples:
      | type               |
      | session-invitation |
      | session-status     |
      | registration-ends  |

  Scenario: A subscription whose sink has not answered yet is shown, and is sent nothing
    Given the sink does not answer when it is asked
    And a request for session-invitation
    When the request is sent
    Then the answer is 202
    And the sink is asked whether it agrees
    And the subscription is shown as ACTIVATION_REQUESTED
    When the gateway publishes a session-invitation
    Then no subscription gets it
    When the subscription is deleted
    Then the answer is 204
    And nothing else has come to the sink

  Scenario Outline: A subscription ends without a word when its sink does not agree
    Given the sink answers <status> with the header "WebHook-Allowed-Origin" set to "<origin>" when it is asked
    And a request for session-invitation
    When the request is sent
    Then the answer is 202
    And the sink is asked whether it agrees
    And the subscription is shown as EXPIRED
    When the gateway publishes a session-invitation
    Then no subscription gets it
    And nothing else has come to the sink

    Examples:
      | status | origin                    |
      | 200    | other.example.com         |
      | 200    | webrtc.example.com.evil   |
      | 204    | WEBRTC.example.com        |
      | 405    | webrtc.example.com        |
      | 307    | *                         |

  Scenario: A status alone is no consent
    Given the sink answers 200
    And a request for session-invitation
    When the request is sent
    Then the answer is 202
    And the sink is asked whether it agrees
    And the subscription is shown as EXPIRED

  Scenario: The question carries the sink's token
    Given the sink agrees when it is asked
    And a request for session-invitation
    And the request has a credential for the sink that is valid for 600 s
    When the request is sent
    Then the sink is asked whether it agrees
    And the question carries the sink's token

  Scenario: The initial event follows the agreement
    Given the gateway publishes the status "Ringing"
    And the sink agrees when it is asked
    And a request for session-status
    And the request has "config.initialEvent" set to true
    When the request is sent
    Then the sink is asked whether it agrees
    And the sink receives the status "Ringing" as number 1

  Scenario: A sink gets no more notifications than it allows
    Given the sink agrees to 60 notifications a minute
    And a subscription to session-status whose sink agreed
    When the gateway publishes the status "Ringing"
    And the gateway publishes the status "Connected"
    And the gateway publishes the status "Terminated"
    Then the sink receives the status "Ringing" as number 1
    And the sink receives the status "Connected" as number 2
    And the sink receives the status "Terminated" as number 3
    And the third of them came no sooner than 2 s after the gateway published the first
