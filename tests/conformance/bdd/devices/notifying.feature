Feature: Notifications of 0.3
  What happens to a device reaches whoever subscribed to it: all its registrations, all its sessions, in order.

  Scenario Outline: Each type of event arrives as a CloudEvent of this version
    Given the device has a registration
    And a subscription to <type>
    When the gateway publishes a <type>
    Then the sink receives a <type>
    And the notification has the attributes of a CloudEvent and no others
    And the notification has the time and the data of the gateway's event, and the subscription's id

    Examples:
      | type               |
      | session-invitation |
      | session-status     |
      | registration-ends  |

  Scenario: A subscription may be there before the device's registration is
    Given a subscription to session-invitation
    When the gateway publishes a session-invitation
    Then no subscription gets it
    When the gateway announces a registration of the device
    And the gateway publishes another session-invitation
    Then the sink receives a session-invitation
    And nothing else has come to the sink

  Scenario: One subscription gets all types, in the order in which they happened
    Given the device has a registration
    And a subscription to session-status, session-invitation, registration-ends
    When the gateway publishes a session-invitation
    And the gateway publishes the status "Ringing"
    And the gateway publishes the status "Connected"
    And the gateway publishes a registration-ends
    Then the sink receives a session-invitation
    And the sink receives the status "Ringing"
    And the sink receives the status "Connected"
    And the sink receives a registration-ends
    And every notification has a different id

  Scenario: A type that was not asked for does not arrive
    Given the device has a registration
    And a subscription to registration-ends
    When the gateway publishes a session-invitation
    Then no subscription gets it

  Scenario: All registrations of the device count
    Given the device has a registration
    And the device has another registration
    And a subscription to session-invitation
    When the gateway publishes a session-invitation to the device's other registration
    And the gateway publishes a session-invitation
    Then the sink receives a session-invitation
    And the sink receives a session-invitation

  Scenario: Events of another device do not arrive
    Given another device has the registration
    And a subscription to session-invitation, session-status, registration-ends
    When the gateway publishes a session-invitation
    Then no subscription gets it
    When the gateway publishes a registration-ends
    Then no subscription gets it

  Scenario: Events of another client's registration on the device do not arrive
    Given the device has a registration of another client
    And a subscription to session-invitation, session-status, registration-ends
    When the gateway publishes a session-invitation
    Then no subscription gets it

  Scenario: Events of a registration that the gateway did not announce do not arrive
    Given a subscription to session-invitation
    When the gateway publishes a session-invitation
    Then no subscription gets it

  Scenario: A call that the device makes arrives too, if the gateway says whose it is
    Given the device has a registration
    And a subscription to session-status
    When the gateway publishes the status "InProgress"
    And the gateway publishes the status "Connected"
    Then the sink receives the status "InProgress"
    And the sink receives the status "Connected"

  Scenario: A status of a session that nobody knows gets a reason
    Given the device has a registration
    And a subscription to session-status
    When the gateway publishes the status "InProgress" of no registration
    Then no subscription gets it
    And the gateway is told that "subject" would help

  Scenario: A status of a known session needs no registration
    Given the device has a registration
    And a subscription to session-invitation, session-status
    When the gateway publishes a session-invitation
    And the gateway publishes the status "Ringing" of no registration
    Then the sink receives a session-invitation
    And the sink receives the status "Ringing"

  Scenario: It lasts beyond a session and a registration
    Given the device has a registration
    And a subscription to session-invitation, session-status
    When the gateway publishes the status "Terminated"
    And the gateway publishes a registration-ends
    And the gateway announces a registration of the device
    And the gateway publishes a session-invitation
    Then the sink receives the status "Terminated"
    And the sink receives a session-invitation
    And the subscription is shown as ACTIVE

  Scenario: It lasts where one of 0.2 ends after its session
    Given the device has a registration
    And a subscription to session-status
    And the client has a subscription to session-status under 0.2 as well
    When the gateway publishes the status "Terminated"
    Then the sink receives the status "Terminated"
    And the 0.2 sink receives a session-status
    And the 0.2 sink receives a subscription-ended
    And the subscription is shown as ACTIVE
    When the gateway publishes another session-status
    Then the sink receives a session-status

  Scenario: A registration that is not renewed ends at its expiry
    Given the device has a registration that expires in 1.5 s
    And a subscription to registration-ends
    Then the sink receives a registration-ends
    And the notification says that the registration expired
    And the subscription is shown as ACTIVE

  Scenario: Both versions hear the same call, each in its form
    Given the device has a registration
    And a subscription to session-status, session-invitation
    And the client has a subscription to session-status under 0.2 as well
    When the gateway publishes the status "Ringing" with a place
    Then the sink receives a session-status
    And the notification says where
    And the 0.2 sink receives a session-status
    And the 0.2 notification does not say where
    And only the 0.2 notification has the attributes mediaSessionId, status

  Scenario: What the sink could not take comes again under its id, before anything else
    Given the device has a registration
    And a subscription to session-invitation, session-status
    And the sink answers 503, then 204
    When the gateway publishes a session-invitation
    And the gateway publishes the status "Ringing"
    Then the sink receives a session-invitation
    And the sink receives the same notification again
    And the sink receives the status "Ringing"

  Scenario: An event published twice arrives once
    Given the device has a registration
    And a subscription to session-invitation
    When the gateway publishes a session-invitation
    And the gateway repeats its event
    Then the sink receives a session-invitation
    And nothing else has come to the sink

  Scenario: It ends when its maximum is reached
    Given the device has a registration
    And a request for session-invitation, registration-ends
    And the request has "config.subscriptionMaxEvents" set to 2
    And the request is sent
    When the gateway publishes a session-invitation
    And the gateway publishes a registration-ends
    Then the sink receives a session-invitation
    And the sink receives a registration-ends
    And the sink is notified that the subscription ended with MAX_EVENTS_REACHED
    And the subscription is shown as EXPIRED

  Scenario: It ends at its expiry
    Given a request for session-invitation
    And the request has "config.subscriptionExpireTime" 1.5 s from now
    And the request is sent
    Then the sink is notified that the subscription ended with SUBSCRIPTION_EXPIRED
    And the subscription is shown as EXPIRED

  Scenario: It ends ahead of the expiry of the sink's token
    Given a request for session-invitation
    And the request has a credential for the sink that is valid for 3 s
    And the request is sent
    Then the sink is notified that the subscription ended with ACCESS_TOKEN_EXPIRED
    And the notification carries the sink's token
    And the subscription is shown as EXPIRED

  Scenario: The operator may end it
    Given a subscription to session-invitation, session-status
    When the operator ends the subscription
    Then the sink is notified that the subscription ended with NETWORK_TERMINATED
    And the subscription is shown as EXPIRED
