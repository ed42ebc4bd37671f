Feature: The end of a subscription
  However it ends, the sink is notified once, with the reason, and last.

  Scenario: It ends at its expiry
    Given a request for session-invitation
    And the request has "config.subscriptionExpireTime" 1.5 s from now
    And the request is sent
    Then the sink is notified that the subscription ended with SUBSCRIPTION_EXPIRED
    And that came not before the subscription expired
    And the subscription is shown as EXPIRED
    When the gateway publishes a session-invitation
    Then no subscription gets it

  Scenario Outline: It ends when its maximum is reached
    Given a request for <type>
    And the request has "config.subscriptionMaxEvents" set to 1
    And the request is sent
    When the gateway publishes a <type>
    Then the sink receives a <type>
    And the sink is notified that the subscription ended with MAX_EVENTS_REACHED
    And the subscription is shown as EXPIRED

    Examples:
      | type               |
      | session-invitation |
      | session-status     |
      | registration-ends  |

  Scenario: The end does not count towards the maximum
    Given a request for session-status
    And the request has "config.subscriptionMaxEvents" set to 2
    And the request is sent
    When the gateway publishes the status "Ringing"
    And the gateway publishes the status "Connected"
    And the gateway publishes the status "Hold"
    Then no subscription gets it
    And the sink receives the status "Ringing" as number 1
    And the sink receives the status "Connected" as number 2
    And the sink is notified that the subscription ended with MAX_EVENTS_REACHED

  Scenario: Of expiry and maximum the first one counts, be it the maximum
    Given a request for session-invitation
    And the request has "config.subscriptionMaxEvents" set to 1
    And the request has "config.subscriptionExpireTime" 600 s from now
    And the request is sent
    When the gateway publishes a session-invitation
    Then the sink receives a session-invitation
    And the sink is notified that the subscription ended with MAX_EVENTS_REACHED

  Scenario: Of expiry and maximum the first one counts, be it the expiry
    Given a request for session-invitation
    And the request has "config.subscriptionMaxEvents" set to 5
    And the request has "config.subscriptionExpireTime" 1.5 s from now
    And the request is sent
    Then the sink is notified that the subscription ended with SUBSCRIPTION_EXPIRED

  Scenario: The service may set an earlier end
    Given a service with tight limits
    And the gateway has announced that the registration belongs to the client
    And a request for session-invitation
    When the request is sent
    Then the answer is 201
    And the answer expires 3600 s after it began

  Scenario: It ends ahead of the expiry of the sink's token
    Given a request for session-invitation
    And the request has a credential for the sink that is valid for 3 s
    And the request is sent
    Then the sink is notified that the subscription ended with ACCESS_TOKEN_EXPIRED
    And the notification carries the sink's token
    And that came before the sink's token expired
    And the subscription is shown as EXPIRED
    When the gateway publishes a session-invitation
    Then no subscription gets it

  Scenario: It ends when the sink no longer takes its token
    Given a request for session-invitation
    And the request has a credential for the sink that is valid for 600 s
    And the request is sent
    And the sink answers 401
    When the gateway publishes a session-invitation
    Then the sink receives a session-invitation
    And the sink is notified that the subscription ended with ACCESS_TOKEN_EXPIRED
    And the subscription is shown as EXPIRED
    And nothing else has come to the sink

  Scenario: It ends without a word when the sink is gone
    Given a subscription to session-invitation
    And the sink answers 410
    When the gateway publishes a session-invitation
    Then the sink receives a session-invitation
    And the subscription is shown as EXPIRED
    And nothing else has come to the sink

  Scenario: The operator may end it
    Given a subscription to session-invitation
    When the gateway publishes a session-invitation
    And the operator ends the subscription
    Then the sink receives a session-invitation
    And the sink is notified that the subscription ended with NETWORK_TERMINATED
    And the subscription is shown as EXPIRED

  Scenario: The end of a registration ends what depends on it
    Given a subscription to session-invitation
    When the gateway publishes a registration-ends
    Then the sink is notified that the subscription ended with NETWORK_TERMINATED
    And the subscription is shown as EXPIRED

  Scenario: The end of a registration is notified before the subscription ends
    Given a subscription to registration-ends
    When the gateway publishes a registration-ends
    Then the sink receives a registration-ends
    And the sink is notified that the subscription ended with NETWORK_TERMINATED

  Scenario: A registration that is not renewed ends at its expiry
    Given the gateway has announced that the registration expires in 1.5 s
    And a subscription to registration-ends
    Then the sink receives a registration-ends
    And the notification says REGISTRATION_EXPIRED, at the moment of the expiry
    And that came not before the registration expired
    And the sink is notified that the subscription ended with NETWORK_TERMINATED

  Scenario: It ends a while after its session
    Given a subscription to session-status
    When the gateway publishes the status "Terminated"
    Then the sink receives the status "Terminated" as number 1
    And the sink is notified that the subscription ended with NETWORK_TERMINATED
